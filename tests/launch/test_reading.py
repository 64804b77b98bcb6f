"""The flags that say how data are read, and files of strangers, through the commands."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

import stillhouse as sh
from stillhouse.launch.settings.reading import ReadingConfig

FAST = ("--architecture=fc", "--steps=2", "--eval_every=0")


@pytest.fixture
def shapes(tmp_path):
    """A folder of images of two sizes, without a test set."""
    rng = np.random.default_rng(0)
    for name, level in (("dark", 20), ("light", 160)):
        for i in range(20):
            pixels = rng.integers(level, level + 60, (8 + i % 2, 8, 3), dtype=np.uint8)
            path = tmp_path / "shapes" / "data" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return tmp_path / "shapes" / "data"


def test_mixed_sizes_are_refused_with_the_flag_named(refused, shapes):
    error = refused("distill", f"--dataset={shapes}", *FAST)
    assert "dark/1.png is 9x8, dark/0.png is 8x8" in error and "`--image_size=8x8`" in error


def test_what_is_done_is_said_and_done_again_when_the_set_is_scored(
    stillhouse, shapes, tmp_path, monkeypatch
):
    flags = ("--image_size=8x8", "--test_fraction=0.5")
    done = stillhouse("distill", "--dataset=shapes", *flags, *FAST)
    assert done.code == 0
    assert "note: shapes: 20 images of other sizes are resized to 8x8" in done.err
    # Named after what the folder is of, and not `data`.
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.startswith("shapes-kip-fc1-2")
    monkeypatch.chdir("/")  # The path that was typed leads nowhere from here.
    done = stillhouse("evaluate", run, "--json")
    result = json.loads(done.out)
    assert (result["test_images"], result["dataset"]) == (20, "shapes")
    assert result["same_dataset"] is True
    assert str(tmp_path) not in json.dumps(sh.load(run).card.config)


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--image_size=8", "`--image_size` must be HEIGHTxWIDTH, such as 32x32, got '8'"),
        ("--test_fraction=1", "`--test_fraction` must be more than zero, and less than one"),
        ("--image_column=photo", "`--image_column` has no meaning for a .npz file"),
        ("--max_bytes=10", "more than `--max_bytes=10`"),
        ("--transform=zca:norm=1", "unknown part 'norm' of `zca`"),
    ],
)
def test_what_has_no_meaning_is_refused(refused, spots, flag, says):
    assert says in refused("distill", f"--dataset={spots}", flag, *FAST)


def test_the_options_of_a_run_hold_unless_others_are_given():
    before = {"image_size": "8x6", "split": "a,b", "max_bytes": 5, "test_fraction": 0.3}
    options = ReadingConfig(split="c").options(before)
    assert (options["image_size"], options["split"], options["max_bytes"]) == ((8, 6), "c", None)
    assert options["test_fraction"] == 0.3
    assert "test_fraction" not in ReadingConfig().options()


def test_a_whitening_of_others_is_stored_with_a_foreign_set(stillhouse, spots, tmp_path):
    dataset = sh.load_dataset(spots)
    fitted = sh.fit_transform("zca-rfad", dataset.x_train)
    images = fitted.apply(dataset.x_train[:3]).transpose(0, 3, 1, 2)
    np.savez(tmp_path / "rfad.npz", images=images, labels=dataset.y_train[:3])
    flags = (f"--dataset={spots}", "--architecture=fc", "--json")
    accuracies = [
        json.loads(stillhouse("evaluate", "rfad.npz", f"--transform={kind}", *flags).out)
        for kind in ("zca-rfad", "zca")
    ]
    assert [found["transform"] for found in accuracies] == ["zca-rfad", "zca"]
    assert accuracies[0]["test_mse"] != accuracies[1]["test_mse"]


def test_names_are_escaped_on_the_terminal(stillhouse, finished, tmp_path):
    with np.load(finished / "distilled.npz") as archive:
        arrays = dict(archive)
    card = str(arrays["card"]).replace('"spots"', '"\\u001b[2Jspots"')
    np.savez(tmp_path / "odd.npz", **{**arrays, "card": np.array(card)})
    for command in ("evaluate", "show"):
        done = stillhouse(command, "odd.npz")
        assert "\x1b" not in done.out + done.err
    np.savez(tmp_path / "\x1b[2J.npz", x=np.zeros(1))
    assert "\x1b" not in stillhouse("show", tmp_path / "\x1b[2J.npz").err


def bomb(path):
    np.savez_compressed(path, images=np.zeros((1000, 32, 32, 3), np.float32), labels=np.eye(1000))


def far_labels(label):
    def write(path):
        np.savez(path, images=np.zeros((4, 8, 8), np.float32), labels=np.array([0, 1, 2, label]))

    return write


def lies(path):
    """Say in the header of an array that it is larger than it is."""
    np.savez(path, images=np.zeros((4, 8, 8)), labels=np.arange(4))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data.replace(b"(4, 8, 8), ", b"(4**9, 9), "[:11]))


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (bomb, "unpacks to 20.3 MB from"),
        (far_labels(2**28), "must be classes below 65,536, got 268435456"),
        (far_labels(32768), None),
        (lies, "cannot read 'images'"),
    ],
)
def test_a_small_file_takes_little_memory(tmp_path, write, says):
    """In a process of its own, all of whose memory the system counts."""
    write(tmp_path / "set.npz")
    program = (
        "from pathlib import Path; from stillhouse.launch.main import main; "
        "code = main(['show', 'set.npz']); "
        "print(code, Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    code, taken = map(int, done.stdout.split()[-2:])
    assert taken < 200 * 1024, done
    assert done.stderr.count("\n") == (says is not None)
    assert code == (0 if says is None else 2)
    if says is not None:
        assert says in done.stderr


@pytest.mark.parametrize("command", ["evaluate", "train"])
def test_data_in_another_scale_than_the_set_came_from_are_refused(
    refused, finished, spots, tmp_path, command
):
    dataset = sh.load_dataset(spots)
    images = dataset.x_train / np.float32(255)
    np.savez(tmp_path / "scaled.npz", images=images, labels=dataset.y_train)
    error = refused(command, finished, "--dataset=scaled.npz")
    assert "images lie in 0 to 0.9" in error and "multiply them by 255" in error
