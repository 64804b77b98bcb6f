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
        ({"method": "magic"}, "`method` must be one of kip, label_solve, .*got 'magic'"),
        ({"transform": "blur"}, "`transform` must be one of"),
        ({"architecture": "convnet", "depth": 9}, "too small"),
        ({"architecture": "fc", "ipc": 1000}, "`ipc`"),
        (
            {"method": "label_solve", "decay": True},
            "`decay` has no meaning for method=label_solve, only for kip and .*; drop it",
        ),
        ({"colour": 3}, "there is no setting `colour` of method=kip"),
    ],
)
def test_a_wrong_setting_is_named_and_leaves_nothing(spots_arrays, tmp_path, wrong, says):
    with pytest.raises(ValueError, match=says):
        sh.distill(*spots_arrays, out=tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()


def test_scalars_of_numpy_are_numbers(spots_arrays):
    distilled = sh.distill(
        *spots_arrays,
        architecture="fc",
        depth=np.int64(1),
        steps=np.uint8(2),
        learning_rate=np.float32(0.25),
        decay=np.bool_(False),
        seed=np.int32(1),
    )
    assert distilled.card.config["learning_rate"] == 0.25
    assert distilled.card.seed == 1


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"ipc": 1.0}, "`ipc` must be a whole number, got 1.0"),
        ({"steps": "3"}, "`steps` must be a whole number, got '3'"),
        ({"ipc": True}, "`ipc` must be a whole number, got True"),
        ({"decay": 1}, "`decay` must be true or false, got 1"),
        ({"learning_rate": "0.1"}, "`learning_rate` must be a number, got '0.1'"),
        ({"architecture": 3}, "`architecture` must be one of fc, .*, got 3"),
        ({"method": "label_solve", "steps": 5}, "`steps` has no meaning for"),
        ({"method": "label_solve", "augment": True}, "`augment` has no meaning for"),
        ({"test_fraction": 2.0}, "`test_fraction` must be between 0 and 1"),
        ({"test_fraction": "a"}, "`test_fraction` must be a number, got 'a'"),
        ({"transform": "zca:norm=no"}, "`transform` must be made of known parts"),
        ({"architecture": sh.convnet(3)}, "`architecture` must be one of .*, got Architecture$"),
        ({"init": 3}, "`init` must be a path, got 3"),
        ({"image_size": (4, 4)}, "`image_size` has no meaning for arrays"),
        ({"name": 3}, "`name` must be a text, got 3"),
        ({"class_names": "abc"}, "`class_names` must be a sequence of texts, got 'abc'"),
        ({"on_progress": 3}, "`on_progress` must be a function, got 3"),
        ({"seed": None}, "`seed` must be a whole number, got None"),
        ({"iterations": 2}, "no setting `iterations` of method=kip; did you mean `steps`?"),
        ({"images_per_class": 2}, "no setting `images_per_class` .*; did you mean `ipc`?"),
        ({"out": 3}, "`out` must be a path, got 3"),
        ({"out": ""}, "`out` must be a path, got ''"),
    ],
)
def test_a_wrong_type_or_value_names_the_argument(spots_arrays, tmp_path, wrong, says):
    settings = {"architecture": "fc", "out": tmp_path / "run", **wrong}
    with pytest.raises(ValueError, match=says):
        sh.distill(*spots_arrays, **settings)
    assert list(tmp_path.iterdir()) == []


def test_a_set_to_start_from_may_be_a_path(spots_arrays, tmp_path):
    first = sh.distill(*spots_arrays, **SMALL)
    first.save(tmp_path / "first.npz")
    again = sh.distill(*spots_arrays, init=tmp_path / "first.npz", **SMALL)
    assert again.images.tobytes() != first.images.tobytes()
    with pytest.raises(IsADirectoryError, match="a folder; `load` finds the set in the folder"):
        sh.load_distilled(tmp_path)


def test_an_architecture_is_no_kernel():
    with pytest.raises(ValueError, match="`spec` must be a KernelSpec, got Architecture; give"):
        sh.kernel(sh.convnet())


def test_data_that_are_missing_or_wrong_name_the_argument(spots_arrays):
    images, labels = spots_arrays
    with pytest.raises(ValueError, match="`labels` are missing"):
        sh.distill(images)
    with pytest.raises(ValueError, match="`images` must be images .*, got 3"):
        sh.distill(3, labels)
    with pytest.raises(ValueError, match="`labels` are missing: .*; got 'digits'"):
        sh.distill("digits")
    with pytest.raises(ValueError, match="`test_fraction` has no meaning for data that have test"):
        sh.distill(images, labels, images, labels, test_fraction=0.3)
    with pytest.raises(ValueError, match="both `test_images` and `test_labels`"):
        sh.distill(images, labels, images)
    with pytest.raises(ValueError, match="`images` has 240 images, `labels` 239"):
        sh.distill(images, labels[:-1])


def test_a_dataset_is_taken_as_it_is(spots_arrays, spots):
    dataset = sh.load_dataset(spots)
    by_dataset = sh.distill(dataset, **SMALL)
    assert by_dataset.images.tobytes() == sh.distill(*spots_arrays, **SMALL).images.tobytes()
    assert by_dataset.card.dataset.name == "spots"
    more = sh.distill(*spots_arrays, test_fraction=0.5, **SMALL)
    assert more.card.dataset.fingerprint != by_dataset.card.dataset.fingerprint


@pytest.mark.parametrize("left", [(), ("checkpoints",), ("checkpoints", "tensorboard")])
def test_a_folder_that_was_made_and_left_empty_blocks_nothing(spots_arrays, tmp_path, left):
    for name in left:
        (tmp_path / "run" / name).mkdir(parents=True)
    sh.distill(*spots_arrays, out=tmp_path / "run", **SMALL)
    (tmp_path / "other" / "checkpoints").mkdir(parents=True)
    (tmp_path / "other" / "checkpoints" / "mine").write_text("x")
    with pytest.raises(ValueError, match="is not empty and holds no run"):
        sh.distill(*spots_arrays, out=tmp_path / "other", **SMALL)


def test_a_pair_is_a_dataset_too(spots_arrays):
    by_pair, by_call = sh.distill(spots_arrays, **SMALL), sh.distill(*spots_arrays, **SMALL)
    assert by_pair.images.tobytes() == by_call.images.tobytes()


def test_what_is_done_to_labels_is_said(spots_arrays):
    images, labels = spots_arrays
    with pytest.warns(UserWarning, match="the labels 0, 10, 20 are numbered 0 to 2, in this order"):
        sh.distill(images, labels * 10, **SMALL)
    # Of a dataset it was said before, but for what is odd about the images themselves.
    sh.distill(sh.dataset_from((images, labels * 10)), **SMALL)


@pytest.mark.parametrize("transform", ["none", "standardise", "zca-rfad", "zca-frepo"])
def test_images_without_contrast_are_warned_of(transform):
    images = np.repeat(np.arange(40, dtype=np.uint8), 36).reshape(40, 6, 6)
    with pytest.warns(UserWarning, match="each train image is of one colour throughout"):
        sh.distill(sh.dataset_from((images, np.arange(40) % 2)), transform=transform, **SMALL)


def test_a_batch_that_a_rare_class_shrinks_is_warned_of(spots_arrays):
    images, labels = spots_arrays
    few = np.flatnonzero(labels == 2)[4:]
    images, labels = np.delete(images, few, axis=0), np.delete(labels, few)
    with pytest.warns(UserWarning, match="a step learns from 9 of 131 images: .* class '2' has 3"):
        sh.distill(images, labels, class_names=["0", "1", "2"], **SMALL)
