import numpy as np
import pytest

from stillhouse.data.sources.npz import load_npz


@pytest.fixture
def arrays(rng):
    """30 images in 3 classes, and 9 for testing."""
    return (
        rng.integers(0, 256, (30, 4, 4, 3), dtype=np.uint8),
        np.arange(30) % 3,
        rng.integers(0, 256, (9, 4, 4, 3), dtype=np.uint8),
        np.arange(9) % 3,
    )


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("images", "labels", "test_images", "test_labels"),
    ],
)
def test_every_layout_is_read(tmp_path, arrays, names):
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, **dict(zip(names, arrays, strict=True)))
    dataset = load_npz(path)
    assert dataset.name == "mine"
    for field, array in zip(("x_train", "y_train", "x_test", "y_test"), arrays, strict=True):
        np.testing.assert_array_equal(getattr(dataset, field), array)


def test_without_test_images_there_is_a_seeded_split(tmp_path, arrays):
    path = tmp_path / "mine.npz"
    np.savez(path, images=arrays[0], labels=arrays[1])
    dataset = load_npz(path, test_fraction=0.3, seed=5)
    assert (len(dataset.x_train), len(dataset.x_test)) == (21, 9)
    assert dataset.fingerprint() == load_npz(path, test_fraction=0.3, seed=5).fingerprint()
    assert dataset.fingerprint() != load_npz(path, test_fraction=0.3, seed=6).fingerprint()


def test_a_file_called_data_is_named_after_its_folder(tmp_path, arrays):
    (tmp_path / "pets").mkdir()
    np.savez(tmp_path / "pets" / "data.npz", images=arrays[0], labels=arrays[1])
    assert load_npz(tmp_path / "pets" / "data.npz").name == "pets"


def test_labels_in_a_column_and_class_names_are_read(tmp_path, arrays):
    path = tmp_path / "cifar.npz"
    names = np.array(["cat", "dog", "frog"])
    x_train, y_train, x_test, y_test = arrays
    np.savez(path, x_train=x_train, y_train=y_train[:, None], x_test=x_test,
             y_test=y_test[:, None].astype(float), class_names=names)  # fmt: skip
    dataset = load_npz(path)
    assert dataset.class_names == ("cat", "dog", "frog")
    np.testing.assert_array_equal(dataset.y_test, y_test)


def test_other_arrays_in_the_file_are_not_touched(tmp_path, arrays):
    path = tmp_path / "mine.npz"
    np.savez(path, images=arrays[0], labels=arrays[1], notes=np.array([{}], dtype=object))
    assert len(load_npz(path).x_train) == 24


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": None}, r"expected the arrays `images` and `labels`.*found labels"),
        ({"test_images": np.zeros((2, 4, 4))}, r"expected both `test_images` and `test_labels`"),
        ({"labels": np.eye(30)}, r"`labels` has shape \(30, 30\).*not soft or one-hot"),
        ({"labels": np.arange(30) % 3 + 0.5}, r"must be integers: label 0 is 0.5"),
        ({"labels": np.arange(29) % 3}, r"30 images, `labels` 29 labels"),
        ({"images": np.full((30, 4, 4), np.nan)}, r"`images` must be finite: image 0"),
        ({"images": np.zeros((30, 16))}, r"flat images.*`reshape\(-1, 4, 4\)`"),
        ({"images": np.zeros((0, 4, 4)), "labels": np.zeros(0)}, r"holds no images"),
        ({"images": np.array([{}] * 30)}, r"cannot read 'images'"),
        ({"class_names": np.arange(3)}, r"`class_names` must be texts"),
        ({"class_names": np.array(["a", "b"])}, r"must be classes 0 to 1: label 2 is 2"),
    ],
)
def test_errors_name_the_file(tmp_path, arrays, change, message):
    path = tmp_path / "mine.npz"
    contents = {"images": arrays[0], "labels": arrays[1], **change}
    np.savez(path, **{name: array for name, array in contents.items() if array is not None})
    with pytest.raises(ValueError, match=rf"mine.npz: .*{message}"):
        load_npz(path)


def test_a_damaged_file_is_named(tmp_path, arrays):
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, images=arrays[0], labels=arrays[1])
    data = path.read_bytes()
    for broken in (data[:-100], data[:200], data[:150] + b"\xff" * 40 + data[190:]):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match="mine.npz: "):
            load_npz(path)
