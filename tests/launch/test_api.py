"""Distilling arrays from Python gives what the command gives."""

import json

import numpy as np
import pytest

import stillhouse as sh


@pytest.fixture
def spots_arrays(spots):
    with np.load(spots) as archive:
        return archive["images"], archive["labels"]


SMALL = {"architecture": "fc", "depth": 1, "steps": 6}


def test_arrays_become_a_set_with_all_that_is_needed_to_use_it(spots_arrays):
    images, labels = spots_arrays
    distilled = sh.distill(
        images, labels, ipc=2, class_names=["a", "b", "c"], name="spots", **SMALL
    )
    assert distilled.images.shape == (6, 6, 6, 1) and distilled.labels.shape == (6, 3)
    assert distilled.card.dataset.name == "spots"
    assert distilled.card.dataset.class_names == ("a", "b", "c")
    assert 0.5 < distilled.card.scores["test_accuracy"] <= 1
    seen = distilled.transform(images.reshape(-1, 6, 6, 1))
    assert abs(seen.mean()) < 0.1
    np.testing.assert_allclose(distilled.invert(seen)[..., 0], images, atol=1e-3)


def test_the_command_gives_the_same_bits(spots_arrays, spots, stillhouse, tmp_path):
    flags = [f"--{name}={value}" for name, value in SMALL.items()]
    assert stillhouse("distill", f"--dataset={spots}", "--out=run", *flags).code == 0
    by_command = sh.load(tmp_path / "run")
    by_call = sh.distill(*spots_arrays, **SMALL)
    assert by_command.images.tobytes() == by_call.images.tobytes()
    assert by_command.labels.tobytes() == by_call.labels.tobytes()


def test_with_a_folder_it_goes_on_where_it_was_interrupted(spots_arrays, tmp_path):
    straight = sh.distill(*spots_arrays, **SMALL)

    def interrupt(progress):
        if progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sh.distill(*spots_arrays, out=tmp_path / "run", on_progress=interrupt, **SMALL)
    steps = []
    again = sh.distill(
        *spots_arrays, out=tmp_path / "run", on_progress=lambda p: steps.append(p.step), **SMALL
    )
    assert again.images.tobytes() == straight.images.tobytes()
    assert steps[-1] == 6
    # A finished run is read.
    finished = sh.distill(*spots_arrays, out=tmp_path / "run", **SMALL)
    assert finished.images.tobytes() == straight.images.tobytes()
    assert json.loads((tmp_path / "run/result.json").read_text())["steps"] == 6


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"ipc": 0}, "`ipc` must be a whole number, 1 or more, got 0"),
        ({"method": "magic"}, "`method` must be one of kip, label_solve, got 'magic'"),
        ({"transform": "blur"}, "`transform` must be one of"),
        ({"architecture": "convnet", "depth": 9}, "too small"),
        ({"architecture": "fc", "ipc": 1000}, "`ipc`"),
    ],
)
def test_a_wrong_setting_is_named_and_leaves_nothing(spots_arrays, tmp_path, wrong, says):
    with pytest.raises(ValueError, match=says):
        sh.distill(*spots_arrays, out=tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()
