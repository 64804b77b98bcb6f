import dataclasses

import numpy as np
import pytest

from stillhouse.data.dataset import Dataset, dataset_from_arrays


@pytest.fixture
def arrays(rng):
    """20 train and 8 test images of 4x5x3 in 4 classes."""
    return {
        "x_train": rng.integers(0, 256, (20, 4, 5, 3), dtype=np.uint8),
        "y_train": np.arange(20) % 4,
        "x_test": rng.integers(0, 256, (8, 4, 5, 3), dtype=np.uint8),
        "y_test": np.arange(8) % 4,
    }


def test_it_knows_its_shape_and_keeps_its_arrays(arrays):
    dataset = dataset_from_arrays(**arrays, name="mine")
    assert dataset.name == "mine"
    assert (dataset.num_classes, dataset.image_shape) == (4, (4, 5, 3))
    assert dataset.class_names == ("0", "1", "2", "3")
    assert dataset.pixel_range == (arrays["x_train"].min(), arrays["x_train"].max())
    for field in arrays:
        np.testing.assert_array_equal(getattr(dataset, field), arrays[field])
    assert np.shares_memory(dataset.x_train, arrays["x_train"])


def test_it_cannot_be_changed(arrays):
    dataset = dataset_from_arrays(**arrays)
    with pytest.raises(ValueError, match="read-only"):
        dataset.x_train[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.name = "other"
    arrays["x_train"][0] = 0  # the caller's own array stays writable


def test_grey_images_get_a_channel(arrays):
    grey = {**arrays, "x_train": arrays["x_train"][..., 0], "x_test": arrays["x_test"][..., 0]}
    dataset = dataset_from_arrays(**grey)
    assert dataset.image_shape == (4, 5, 1)


def test_without_test_images_a_stratified_part_is_held_out(arrays):
    images, labels = arrays["x_train"], arrays["y_train"]
    dataset = dataset_from_arrays(images, labels, test_fraction=0.4, seed=2)
    assert (len(dataset.x_train), len(dataset.x_test)) == (12, 8)
    np.testing.assert_array_equal(np.bincount(dataset.y_test), [2, 2, 2, 2])
    together = np.concatenate([dataset.x_train, dataset.x_test])
    assert sorted(i.tobytes() for i in together) == sorted(i.tobytes() for i in images)
    for image, label in zip(dataset.x_test, dataset.y_test, strict=True):
        assert labels[(images == image).all(axis=(1, 2, 3))] == label
    again = dataset_from_arrays(images, labels, test_fraction=0.4, seed=2)
    assert again.fingerprint() == dataset.fingerprint()


def test_the_fingerprint_follows_every_value_shape_and_dtype(arrays):
    def changed(**changes):
        return dataset_from_arrays(**{**arrays, **changes}).fingerprint()

    x_train = arrays["x_train"].copy()
    x_train[7, 3, 4, 2] ^= 1
    y_test = arrays["y_test"].copy()
    y_test[[0, 1]] = y_test[[1, 0]]
    prints = {
        changed(),
        changed(x_train=x_train),
        changed(y_test=y_test),
        changed(x_train=arrays["x_train"].reshape(20, 5, 4, 3),
                x_test=arrays["x_test"].reshape(8, 5, 4, 3)),
        changed(x_train=arrays["x_train"] * 1.0, x_test=arrays["x_test"] * 1.0),
    }  # fmt: skip
    assert len(prints) == 5
    assert all(len(p) == 64 for p in prints)
    assert changed(name="other", class_names=list("abcd")) == changed()


@pytest.mark.parametrize("value", [7, 0.5])
def test_images_that_are_all_the_same_are_refused(arrays, value):
    same = {name: np.full_like(arrays[name], value, dtype=type(value)) for name in arrays}
    labels = {name: arrays[name] for name in ("y_train", "y_test")}
    with pytest.raises(ValueError, match="all train images are the same: there is nothing to"):
        dataset_from_arrays(**{**same, **labels})


def test_the_fingerprint_is_the_same_on_every_machine():
    images = np.arange(64, dtype=np.uint8).reshape(4, 4, 4)
    dataset = dataset_from_arrays(images, [0, 1, 0, 1], images, [0, 1, 0, 1])
    assert dataset.fingerprint() == (
        "c5cb28e446ccf1ca26c3c8d8ff96baea36bfdeddecf55abbd0818af0f8d29507"
    )


def test_the_info_for_the_card(arrays):
    info = dataset_from_arrays(**arrays, name="mine", class_names=list("abcd")).info()
    assert info.name == "mine"
    assert info.class_names == ("a", "b", "c", "d")
    assert info.image_shape == (4, 5, 3)
    assert len(info.fingerprint) == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_train": np.arange(19) % 4}, r"`x_train` has 20 images, `y_train` 19 labels"),
        ({"y_test": np.arange(9) % 4}, r"`x_test` has 8 images, `y_test` 9 labels"),
        ({"x_test": None}, r"both `x_test` and `y_test`"),
        ({"y_test": None}, r"both `x_test` and `y_test`"),
        ({"x_test": np.zeros((8, 4, 6, 3), np.uint8)}, r"`x_train` holds 4x5x3, `x_test` 4x6x3"),
        ({"x_test": np.zeros((8, 4, 5), np.uint8)}, r"`x_train` holds 4x5x3, `x_test` 4x5x1"),
        ({"x_test": np.zeros((8, 4, 5, 3))}, r"`x_train` is uint8 and `x_test` float32"),
        ({"x_test": np.zeros((0, 4, 5, 3)), "y_test": []}, r"`x_test` holds no images"),
        ({"x_train": [], "y_train": []}, r"`x_train` holds no images"),
        ({"y_train": np.arange(20) % 4 + 0.5}, r"`y_train` must be integers: label 0 is 0.5"),
        ({"y_train": np.eye(20)}, r"not soft or one-hot"),
        ({"y_train": np.arange(20) % 4 - 1}, r"class 4 \('3'\) has no train image"),
        ({"y_train": np.arange(20) % 4 + 1}, r"class 0 \('0'\) has no train image"),
        ({"y_test": np.full(8, 5)}, r"class 4 \('5'\) has no train image"),
        ({"class_names": list("abc")}, r"`y_train` must be classes 0 to 2: label 3 is 3"),
        ({"class_names": list("abcde")}, r"class 4 \('e'\) has no train image"),
        ({"y_train": np.zeros(20), "y_test": np.zeros(8)}, r"two classes at least"),
    ],
)  # fmt: skip
def test_arrays_that_are_no_dataset_are_refused(arrays, change, message):
    with pytest.raises(ValueError, match=message):
        dataset_from_arrays(**{**arrays, **change})


def test_nan_pixels_are_refused(arrays):
    images = arrays["x_train"].astype(float)
    images[3, 1, 1, 1] = np.nan
    with pytest.raises(ValueError, match="`x_train` must be finite: image 3"):
        dataset_from_arrays(**{**arrays, "x_train": images})


def test_labels_outside_the_names_are_refused_before_the_split(arrays):
    with pytest.raises(ValueError, match="`y_train` must be classes 0 to 2: label 3 is 3"):
        dataset_from_arrays(arrays["x_train"], arrays["y_train"], class_names=list("abc"))


def test_the_class_itself_checks_too(arrays):
    with pytest.raises(ValueError, match="`y_test` must be classes 0 to 3"):
        Dataset("mine", **{**arrays, "y_test": np.full(8, 4)}, class_names=tuple("abcd"))
