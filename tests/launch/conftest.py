import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from stillhouse.launch.main import main


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command ended with."""

    code: int
    out: str
    err: str


@pytest.fixture
def stillhouse(capsys, tmp_path, monkeypatch):
    """Run a command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return run


@pytest.fixture
def refused(stillhouse, tmp_path):
    """Run a command that must be refused: one line, exit code 2, and nothing left behind."""

    def run(*arguments):
        before = sorted(tmp_path.rglob("*"))
        result = stillhouse(*arguments)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"stillhouse {arguments[0]}: error: ")
        assert result.err.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before
        return result.err

    return run


@pytest.fixture(scope="session")
def spots(tmp_path_factory):
    """A small dataset in a file: three kinds of bright spots on noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 3
    images = rng.integers(0, 120, (240, 6, 6))
    images[np.arange(240), 1 + labels, 2] += 130
    path = tmp_path_factory.mktemp("data") / "spots.npz"
    np.savez(path, images=images.astype(np.uint8), labels=labels)
    return path


SMALL = ("--architecture=fc", "--depth=1", "--steps=12", "--eval_every=5", "--checkpoint_every=4")


@pytest.fixture(scope="session")
def finished(spots, tmp_path_factory):
    """A finished run of KIP on the spots."""
    folder = tmp_path_factory.mktemp("runs") / "spots"
    assert main(["distill", f"--dataset={spots}", f"--out={folder}", *SMALL]) == 0
    return folder


@pytest.fixture
def small(spots):
    return (f"--dataset={spots}", *SMALL)


@pytest.fixture(scope="session")
def bits():
    """What must be the same after a resumed run, to the bit."""

    def read(folder):
        result = json.loads((Path(folder) / "result.json").read_text())
        del result["seconds"]
        timed = ("seconds", "kernel_elements_per_second")
        lines = [
            json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()
        ]
        metrics = [{k: v for k, v in line.items() if k not in timed} for line in lines]
        with np.load(Path(folder) / "distilled.npz") as archive:
            arrays = {name: archive[name].tobytes() for name in ("images", "labels")}
        return arrays, metrics, result

    return read
