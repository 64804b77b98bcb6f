"""The page in a real browser, where there is one."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from stillhouse.data.distilled import DistilledSet, load_distilled
from stillhouse.launch.commands import pretrain, study
from stillhouse.launch.main import main

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--v=0", "--virtual-time-budget=20000"),
)
# The page forbids scripts, so another one looks at it from outside, in a frame of the width.
HARNESS = """<!doctype html><meta charset="utf-8"><style>iframe {{ border: 0 }}</style>
<iframe id="page" width="{width}" height="900" srcdoc="{page}"></iframe>
<pre id="found"></pre>
<script>
document.getElementById("page").addEventListener("load", (event) => {{
  const view = event.target.contentWindow, page = view.document;
  page.querySelectorAll("details").forEach((part) => part.open = true);
  const root = page.documentElement;
  const wide = [...page.querySelectorAll("body *")].filter((one) =>
    !one.closest(".scroll") && one.getBoundingClientRect().right > view.innerWidth + 0.5);
  const small = [...page.querySelectorAll("p, td, th, li, figcaption, pre, dt, dd")].filter((one) =>
    one.textContent.trim() && parseFloat(view.getComputedStyle(one).fontSize) < 11);
  const images = [...page.images];
  document.getElementById("found").textContent = JSON.stringify({{
    width: view.innerWidth, scroll: root.scrollWidth, images: images.length,
    broken: images.filter((image) => !image.complete || !image.naturalWidth).length,
    invisible: images.filter((image) => image.getBoundingClientRect().width < 16).length,
    wide: wide.map((one) => one.outerHTML.slice(0, 120)),
    small: small.map((one) => one.outerHTML.slice(0, 120)),
    blurred: [...page.querySelectorAll(".images img")].filter((image) =>
      view.getComputedStyle(image).imageRendering !== "pixelated").length,
    background: view.getComputedStyle(page.body).backgroundColor,
  }});
}});
</script>
"""


@pytest.fixture(scope="module", params=["ten", "many", "study"])
def page(request, finished, spots, tmp_path_factory):
    """The page of a run, of a set of many images whose classes have long names, and of studies."""
    folder = tmp_path_factory.mktemp("report")
    if request.param == "study":
        return studies(finished, spots, folder)
    if request.param == "ten":
        copy = shutil.copytree(finished, folder / "spots")
        assert main(["report", str(copy), "--kernels=own,fc:1:nngp", "--test_images=0"]) == 0
        return copy / "report.html"
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 20
    images = rng.integers(0, 256, (400, 9, 7, 3)).astype(np.uint8)
    names = np.array([f"a class with a very long name, number {i}" for i in range(20)])
    np.savez(folder / "data.npz", images=images, labels=labels, class_names=names)
    np.savez(folder / "many.npz", images=images[:120] / 255 - 0.5, labels=np.eye(20)[labels[:120]])
    flags = [f"--dataset={folder / 'data.npz'}", "--transform=standardise", "--seconds=1e-9"]
    out = folder / "many.html"
    assert main(["report", str(folder / "many.npz"), *flags, f"--out={out}"]) == 0
    return out


def studies(finished, spots, folder):
    """The page of all studies of two sets, one of them with a long name."""
    one = load_distilled(finished / "distilled.npz")
    other = folder / "a-set-whose-name-is-longer-than-any-column-of-a-telephone.npz"
    DistilledSet(1.5 * one.images, one.labels, one.transform, one.card).save(other)
    small = ("--network=mlp", "--width=8", "--depth=1", "--epochs=3", "--batch_size=48")
    along = (*small, "--networks=3", "--trajectories", "--every=1", f"--out={folder / 'pool'}")
    sizes = ("--networks=3", "--steps=5", "--real=0,1,4", "--subsets=3", "--test_images=0")
    sets, out = (str(finished), str(other)), folder / "study"
    with pytest.MonkeyPatch.context() as patch:
        for command in (pretrain, study):  # A process's threads are not taken back.
            patch.setattr(command, "use_threads", lambda threads: None)
        assert main(["pretrain", f"--dataset={spots}", *along]) == 0
        assert main(["study", *sets, f"--pool={folder / 'pool'}", *sizes, f"--out={out}"]) == 0
    return out / "study.html"


@pytest.mark.skipif(CHROMIUM is None, reason="needs the browser chromium")
@pytest.mark.parametrize("width", [400, 1400])
def test_a_browser_shows_all_of_it(page, width, tmp_path):
    text = page.read_text()
    harness = tmp_path / "harness.html"
    harness.write_text(HARNESS.format(width=width, page=html.escape(text)))
    profile = tmp_path / "profile"
    done = subprocess.run(
        [
            *(CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "--window-size=1600,1000"),
            *("--dump-dom", harness.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    (found,) = re.findall(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    found = json.loads(html.unescape(found))
    assert found["width"] == width and found["scroll"] <= width
    assert found["images"] == text.count("<img ") and found["images"] > 3
    assert (found["broken"], found["invisible"], found["blurred"]) == (0, 0, 0)
    assert found["wide"] == [] and found["small"] == []
    assert found["background"] == "rgb(244, 246, 248)"
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
