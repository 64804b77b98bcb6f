import base64
import dataclasses
import errno
import io
import json
import re
import shlex
import shutil

import numpy as np
import pytest
from PIL import Image

from stillhouse.data.distilled import load_distilled, save_distilled
from stillhouse.launch.commands import report
from stillhouse.launch.main import main

FAST = ("--kernels=own", "--test_images=0")


@pytest.fixture
def run_copy(finished, tmp_path):
    """A copy of the finished run, to write a report into."""
    return shutil.copytree(finished, tmp_path / "spots")


def text_of(page):
    without_tags = re.sub(r"<[^>]+>", "", page.read_text())
    return " ".join(without_tags.replace("&#34;", '"').replace("&#39;", "'").split())


def images_of(page):
    return re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)"', page.read_text())


def commands_of(page):
    found = re.findall(r"<pre>(.*?)</pre>", page.read_text(), re.DOTALL)
    return [shlex.split(re.sub(r"<[^>]+>", "", command)) for command in found]


def test_a_run_folder_gets_a_page_and_its_pictures(stillhouse, run_copy):
    before = set(run_copy.iterdir())
    result = stillhouse("report", run_copy, "--seconds=60")
    assert result.code == 0, result.err
    page = run_copy / "report.html"
    assert result.out.startswith(f"{page}: 3 images of {run_copy}\n")
    # What the page lacks is said here too, and its head names what comes nearest.
    assert "not in it: No networks were trained" in result.out
    assert re.search(r"(random images|class averages), fc:1 NTK", text_of(page))
    new = {path.name for path in set(run_copy.iterdir()) - before}
    assert new == {
        "report.html",
        *(f"report-{name}.png" for name in ("after", "before", "accuracy", "loss", "kernels")),
        *(f"report-label-{name}.png" for name in ("covariance", "correlation")),
        *(f"report-pixels-{name}.png" for name in ("original", "transformed")),
    }
    assert page.read_text().count("<img ") == len(images_of(page)) == 2 * 3 + 7
    for content, _ in images_of(page):
        assert base64.b64decode(content).startswith(b"\x89PNG")
    text = text_of(page)
    for part in ("fc:1 NTK (own)", "fc:1 NNGP", "fc:3 NTK", "conv:3 NTK", "convnet:2 NTK"):
        assert part in text
    assert "All 48 test images were used" in text
    assert "No networks were trained" in text and "--train" in text


def test_the_page_says_what_evaluate_says(stillhouse, run_copy):
    assert stillhouse("report", run_copy, *FAST).code == 0
    page = run_copy / "report.html"
    scores = json.loads((run_copy / "result.json").read_text())
    shown = f"{scores['test_accuracy']:.1%}".replace("%", " %")
    alt = next(alt for _, alt in images_of(page) if "kernel ridge" in alt)
    assert f"distilled {scores['test_accuracy']:.1%}" in alt and shown in text_of(page)
    # And each command that the page names gives it again.
    evaluate = next(c for c in commands_of(page) if c[:2] == ["stillhouse", "evaluate"])
    again = json.loads(stillhouse(*evaluate[1:], "--json").out)
    assert again["test_accuracy"] == scores["test_accuracy"]
    assert again["test_mse"] == pytest.approx(scores["test_mse"], rel=1e-5)


def test_the_command_of_the_run_gives_its_bits_again(stillhouse, run_copy, finished, tmp_path):
    assert stillhouse("report", run_copy, *FAST).code == 0
    distill = next(
        c for c in commands_of(run_copy / "report.html") if c[:2] == ["stillhouse", "distill"]
    )
    assert stillhouse(*distill[1:]).code == 0
    first = load_distilled(finished / "distilled.npz")
    again = load_distilled(tmp_path / "runs" / "again" / "distilled.npz")
    np.testing.assert_array_equal(first.images, again.images)
    assert first.card.scores == again.card.scores


def test_every_command_of_a_page_is_understood(stillhouse, run_copy):
    assert stillhouse("report", run_copy, "--seconds=1e-9").code == 0
    commands = commands_of(run_copy / "report.html")
    assert len({tuple(command) for command in commands}) >= 6
    for _, name, *arguments in commands:
        assert main([name, *arguments, "--nonsense=1"]) == 2
    left_out = [c for c in commands if any("--kernels=" in argument for argument in c)]
    assert len(left_out) == 5 and "about 1 s" in text_of(run_copy / "report.html")


def test_networks_are_trained_on_every_set(stillhouse, run_copy):
    flags = ("--train", "--network=mlp", "--width=8", "--train_steps=20", "--seeds=2")
    result = stillhouse("report", run_copy, *FAST, *flags)
    assert result.code == 0, result.err
    page = run_copy / "report.html"
    table = re.search(r"trained on.*?</table>", page.read_text(), re.DOTALL)[0]
    rows = re.findall(r'<th scope="row">(.*?)</th><td.*?>(.*?)</td><td>(\d)</td>', table)
    assert [(name, count) for name, _, count in rows] == [
        ("distilled", "2"),
        ("random images", "6"),
        ("class averages", "2"),
    ]
    train = next(c for c in commands_of(page) if c[:2] == ["stillhouse", "train"])
    again = json.loads(stillhouse(*train[1:], "--json").out)["sets"]["distilled"]
    mean, deviation = 100 * again["test_accuracy"], 100 * again["test_accuracy_std"]
    assert rows[0][1] == f"{mean:.1f} ± {deviation:.1f} %"
    assert (run_copy / "report-networks.png").exists()


def test_before_are_the_images_that_the_run_started_from(
    stillhouse, finished, spots, small, tmp_path
):
    # A run of one step hardly moves: what it leaves is nearly what it started from.
    flags = [flag for flag in small if "steps" not in flag]
    for init in ("real", "kmeans"):
        out = tmp_path / init
        done = stillhouse("distill", *flags, "--steps=1", f"--init={init}", f"--out={out}")
        assert done.code == 0, done.err
        stillhouse("report", out, *FAST)
        pairs = images_of(out / "report.html")[:6]
        pixels = [np.asarray(Image.open(io.BytesIO(base64.b64decode(p)))) for p, _ in pairs]
        for before, after in zip(pixels[::2], pixels[1::2], strict=True):
            assert np.abs(before.astype(float) - after).mean() < 12, init


def test_a_file_without_anything_else_has_a_page_of_its_images(stillhouse, finished, tmp_path):
    distilled = load_distilled(finished / "distilled.npz")
    np.savez("bare.npz", images=distilled.images, labels=distilled.labels)
    result = stillhouse("report", "bare.npz")
    assert result.code == 0, result.err
    text = text_of(tmp_path / "report.html")
    assert "does not say what it was distilled from; give --dataset" in text
    assert "stillhouse report RUN_FOLDER" in text
    assert "This needs real images" in text


def test_a_published_set_is_reported_with_what_it_does_not_say(
    stillhouse, finished, spots, tmp_path
):
    distilled = load_distilled(finished / "distilled.npz")
    np.savez("kip.npz", images=distilled.images, labels=distilled.labels)
    flags = (f"--dataset={spots}", "--transform=standardise", "--architecture=fc", "--depth=1")
    assert stillhouse("report", "kip.npz", *flags, *FAST, "--out=kip.html").code == 0
    own = json.loads(stillhouse("evaluate", finished, "--json").out)["test_accuracy"]
    text = text_of(tmp_path / "kip.html")
    assert "fc:1 NTK (own)" in text and f"{100 * own:.1f} %" in text
    assert "does not say which images its run started from" in text
    (command, *_) = [c for c in commands_of(tmp_path / "kip.html") if c[1] == "evaluate"]
    assert json.loads(stillhouse(*command[1:], "--json").out)["test_accuracy"] == own


def test_a_dataset_that_moved_away_is_asked_for(stillhouse, finished, spots, tmp_path):
    distilled = load_distilled(finished / "distilled.npz")
    card = dataclasses.replace(distilled.card, config={"dataset": "gone/spots.npz"})
    save_distilled("moved.npz", dataclasses.replace(distilled, card=card))
    assert stillhouse("report", "moved.npz").code == 0
    text = text_of(tmp_path / "report.html")
    assert "gone/spots.npz" in text and "--dataset=DATASET" in text
    assert stillhouse("report", "moved.npz", f"--dataset={spots}", *FAST).code == 0
    assert "test images were used" in text_of(tmp_path / "report.html")


def test_other_data_are_told_of(stillhouse, finished, spots, tmp_path):
    with np.load(spots) as archive:
        images = archive["images"][::-1].copy()
        np.savez("other.npz", images=images, labels=archive["labels"][::-1])
    out = ("--dataset=other.npz", "--out=o.html")
    assert stillhouse("report", finished, *FAST, *out).code == 0
    text = text_of(tmp_path / "o.html")
    assert "other.npz holds other data" in text and "drawn from other data" in text


def test_sets_of_a_size_that_real_images_cannot_have_stand_alone(stillhouse, spots, tmp_path):
    rng = np.random.default_rng(0)
    np.savez("four.npz", images=rng.normal(size=(4, 6, 6, 1)), labels=np.eye(3)[[0, 1, 2, 2]])
    flags = (f"--dataset={spots}", "--transform=standardise", "--kernels=fc:1")
    result = stillhouse("report", "four.npz", *flags)
    assert result.code == 0, result.err
    assert "no sets of the same size" in text_of(tmp_path / "report.html")


def test_a_hostile_file_cannot_speak(stillhouse, finished, tmp_path):
    hostile = "<script>alert('x')</script><img src=x onerror=alert(1)>"
    distilled = load_distilled(finished / "distilled.npz")
    info = dataclasses.replace(
        distilled.card.dataset, name=hostile, class_names=(hostile, "$\\x$", "&")
    )
    card = dataclasses.replace(distilled.card, dataset=info, config={hostile: hostile})
    save_distilled("<b>x.npz", dataclasses.replace(distilled, card=card))
    assert stillhouse("report", "<b>x.npz").code == 0
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page and "<img src=x" not in page and "<b>x" not in page
    assert "&lt;script&gt;alert(" in page


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.npz"], "no such distilled set: none.npz"),
        (["."], "is a folder without a distilled.npz"),
        (["{set}", "--out=page.pdf"], "must be a page that ends in .html"),
        (["{set}", "--out=no/page.html"], "no: no such folder"),
        (["{set}", "--dataset=nonsense"], "unknown dataset"),
        (["{set}", "--dataset=digits"], "digits are 8 x 8 x 1, those of"),
        (["{set}", "--kernels=rbf"], "'rbf' is none; expected own or one of fc"),
        (["{set}", "--kernels=fc:0"], "'fc:0' is none"),
        (["{set}", "--kernels=convnet:9"], "too small"),
        (["{set}", "--seconds=0"], "--seconds"),
        (["{set}", "--test_images=-1"], "--test_images"),
        (["{set}", "--width=64"], "`--width` needs `--train`"),
        (["{set}", "--transform=zca"], "`--transform` needs `--dataset`"),
        ([], "FILE is missing"),
    ],
)
def test_what_cannot_be_reported_is_one_line(refused, finished, arguments, says):
    filled = [argument.format(set=finished / "distilled.npz") for argument in arguments]
    assert says in refused("report", *filled)


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"an image"])
def test_a_damaged_file_is_one_line(refused, tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    assert "x.npz" in refused("report", "x.npz")


def test_a_file_of_a_newer_format_is_one_line(refused, finished, tmp_path):
    with np.load(finished / "distilled.npz") as archive:
        arrays = dict(archive)
    card = json.loads(str(arrays["card"]))
    arrays["card"] = np.array(json.dumps({**card, "format_version": 99}))
    np.savez(tmp_path / "new.npz", **arrays)
    assert "use a newer Stillhouse" in refused("report", "new.npz")


def test_a_damaged_run_folder_is_one_line(refused, run_copy):
    (run_copy / "config.json").write_text("{")
    assert "config.json is damaged" in refused("report", run_copy)


def test_metrics_that_are_no_numbers_are_passed_over(stillhouse, run_copy):
    with open(run_copy / "metrics.jsonl", "a") as file:
        file.write('{"step": 13, "loss": "much", "accuracy": NaN, "test_accuracy": null}\n{"st')
    assert stillhouse("report", run_copy, *FAST).code == 0


def test_a_disk_that_fills_up_leaves_no_half_report(stillhouse, run_copy, monkeypatch):
    real, before = report.write_bytes, sorted(run_copy.iterdir())

    def full(path, content):
        if path.suffix == ".html":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path, content)

    monkeypatch.setattr(report, "write_bytes", full)
    result = stillhouse("report", run_copy, *FAST)
    assert (result.code, result.err.count("\n")) == (2, 1) and "No space left" in result.err
    assert sorted(run_copy.iterdir()) == before
