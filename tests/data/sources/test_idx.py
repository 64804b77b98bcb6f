import gzip
import struct

import numpy as np
import pytest

from stillhouse.data.sources.idx import has_idx, load_idx, read_idx

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx_bytes(array):
    """Return an array in the IDX format, written from its specification."""
    big = array.astype(array.dtype.newbyteorder(">"))
    header = bytes([0, 0, CODES[array.dtype.str[1:]], array.ndim])
    return header + b"".join(struct.pack(">I", n) for n in array.shape) + big.tobytes()


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (30, 5, 4), dtype=np.uint8)


@pytest.fixture
def labels():
    return (np.arange(30) % 3).astype(np.uint8)


@pytest.fixture
def folder(tmp_path, images, labels):
    """A folder with the four files of MNIST; 20 images to train, 10 to test."""
    for name, array in {
        "train-images-idx3-ubyte": images[:20],
        "train-labels-idx1-ubyte": labels[:20],
        "t10k-images-idx3-ubyte": images[20:],
        "t10k-labels-idx1-ubyte": labels[20:],
    }.items():
        (tmp_path / name).write_bytes(idx_bytes(array))
    return tmp_path


def test_the_four_files_are_read(folder, images, labels):
    dataset = load_idx(folder)
    assert dataset.name == folder.name
    np.testing.assert_array_equal(dataset.x_train[..., 0], images[:20])
    np.testing.assert_array_equal(dataset.x_test[..., 0], images[20:])
    np.testing.assert_array_equal(dataset.y_train, labels[:20])
    np.testing.assert_array_equal(dataset.y_test, labels[20:])
    assert dataset.x_train.dtype == np.uint8


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name + ".gz",
        lambda name: name.replace("-idx", ".idx"),
        lambda name: "emnist-digits-" + name.replace("t10k", "test") + ".gz",
    ],
)
def test_the_usual_variants_of_the_names_are_read(folder, rename):
    expected = load_idx(folder).fingerprint()
    for path in list(folder.iterdir()):
        name, data = rename(path.name), path.read_bytes()
        path.unlink()
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert has_idx(folder)
    assert load_idx(folder).fingerprint() == expected


def test_a_plain_file_is_preferred_to_its_gzipped_copy(folder):
    (folder / "train-images-idx3-ubyte.gz").write_bytes(b"not gzip")
    assert len(load_idx(folder).x_train) == 20


def test_without_test_files_there_is_a_seeded_split(folder):
    for path in folder.glob("t10k*"):
        path.unlink()
    dataset = load_idx(folder, test_fraction=0.3, seed=1)
    assert (len(dataset.x_train), len(dataset.x_test)) == (14, 6)


@pytest.mark.parametrize("dtype", list(CODES))
def test_every_type_of_the_format_is_read(tmp_path, dtype):
    array = np.arange(-6, 6).reshape(3, 2, 2).astype(dtype)
    (tmp_path / "a").write_bytes(idx_bytes(array))
    result = read_idx(tmp_path / "a")
    np.testing.assert_array_equal(result, array)


def test_colour_images_are_read(folder, rng):
    colour = rng.integers(0, 256, (20, 5, 4, 3), dtype=np.uint8)
    (folder / "train-images-idx3-ubyte").write_bytes(idx_bytes(colour))
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(colour[:10]))
    assert load_idx(folder).image_shape == (5, 4, 3)


@pytest.mark.parametrize("missing", ["train-images", "train-labels", "t10k-images", "t10k-labels"])
def test_a_missing_file_is_named(folder, missing):
    next(folder.glob(missing + "*")).unlink()
    with pytest.raises(ValueError, match=f"no file {missing}-idx[13]-ubyte"):
        load_idx(folder)


def test_two_datasets_in_one_folder_are_refused(folder):
    (folder / "letters-train-images-idx3-ubyte").write_bytes(b"")
    with pytest.raises(ValueError, match="several datasets"):
        load_idx(folder)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an IDX file"),
        (b"\x89PNG....", "not an IDX file: it begins with the bytes 89 50 4e 47"),
        (bytes([0, 0, 8, 3, 0, 0]), "the header alone takes 16 bytes"),
        (
            bytes([0, 0, 8, 1]) + struct.pack(">I", 9) + b"12345",
            "takes 9 bytes behind its header, found 5",
        ),
        (
            bytes([0, 0, 8, 1]) + struct.pack(">I", 2) + b"12345",
            "takes 2 bytes behind its header, found more",
        ),
    ],
)
def test_damage_is_named(folder, data, message):
    (folder / "train-labels-idx1-ubyte").write_bytes(data)
    with pytest.raises(ValueError, match=f"train-labels-idx1-ubyte: .*{message}"):
        load_idx(folder)


def test_damaged_gzip_is_named(folder):
    path = folder / "train-images-idx3-ubyte"
    data = gzip.compress(path.read_bytes())
    path.unlink()
    zipped = folder / "train-images-idx3-ubyte.gz"
    for broken in (b"", b"nonsense", data[:-20], data[:40] + b"\0\0\0\0" + data[44:]):
        zipped.write_bytes(broken)
        with pytest.raises(ValueError, match="train-images-idx3-ubyte.gz: "):
            load_idx(folder)


def test_labels_that_are_not_whole_name_their_file(folder):
    labels = np.full(20, 0.5, dtype=np.float32)
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    with pytest.raises(ValueError, match="train-labels-idx1-ubyte must be integers"):
        load_idx(folder)


def test_different_lengths_name_the_folder(folder, labels):
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels[:19]))
    with pytest.raises(
        ValueError,
        match=f"{folder.name}: train-images-idx3-ubyte has 20 images, train-labels-idx1-ubyte 19",
    ):
        load_idx(folder)
