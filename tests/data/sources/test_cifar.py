import pickle
import struct

import numpy as np
import pytest

from stillhouse.data.sources.cifar import has_cifar, load_cifar


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)


LABELS = np.arange(24) % 3
NAMES = ["airplane", "automobile", "bird"]


def rows(images):
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


def python2_pickle(images, labels):
    """A batch as Python 2 wrote it: protocol 2, texts of bytes, NumPy of that time."""
    data = rows(images).tobytes()

    def text(value):
        return b"T" + struct.pack("<I", len(value)) + value

    def number(value):
        return b"J" + struct.pack("<i", value)

    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + number(0) + b"\x85"
    array += text(b"b") + b"tR(" + number(1) + number(len(images)) + number(3072) + b"\x86"
    array += b"cnumpy\ndtype\n(" + text(b"u1") + number(0) + number(1) + b"tR("
    array += number(3) + text(b"|") + b"NNN" + number(-1) * 2 + number(0) + b"tb\x89"
    array += text(data) + b"tb"
    numbers = b"](" + b"".join(number(int(label)) for label in labels) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + numbers + b"u."


def write_ten(folder, images, python=None):
    for i in range(5):
        part = slice(4 * i, 4 * i + 4)
        name = f"data_batch_{i + 1}"
        if python is None:
            records = np.hstack([LABELS[part, None].astype(np.uint8), rows(images[part])])
            (folder / f"{name}.bin").write_bytes(records.tobytes())
        else:
            (folder / name).write_bytes(python(images[part], LABELS[part]))
    if python is None:
        records = np.hstack([LABELS[20:, None].astype(np.uint8), rows(images[20:])])
        (folder / "test_batch.bin").write_bytes(records.tobytes())
        (folder / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
    else:
        (folder / "test_batch").write_bytes(python(images[20:], LABELS[20:]))
        (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": NAMES}))


def python3_pickle(protocol, key=lambda name: name):
    def write(images, labels):
        batch = {key("data"): rows(images), key("labels"): labels.tolist()}
        return pickle.dumps(batch, protocol=protocol)

    return write


@pytest.mark.parametrize(
    "python",
    [
        None,
        python2_pickle,
        *(python3_pickle(protocol) for protocol in (2, 4, 5)),
        python3_pickle(2, str.encode),
    ],
)
def test_cifar_10_is_read_from_binary_files_and_batches(tmp_path, images, python):
    write_ten(tmp_path, images, python)
    assert has_cifar(tmp_path)
    dataset = load_cifar(tmp_path)
    assert dataset.class_names == ("airplane", "automobile", "bird")
    np.testing.assert_array_equal(dataset.x_train, images[:20])
    np.testing.assert_array_equal(dataset.x_test, images[20:])
    np.testing.assert_array_equal(dataset.y_train, LABELS[:20])


@pytest.mark.parametrize("binary", [True, False])
def test_cifar_100_is_read_with_its_fine_labels(tmp_path, images, binary):
    for name, part in (("train", slice(20)), ("test", slice(20, 24))):
        fine, coarse = LABELS[part], LABELS[part] * 0 + 7
        if binary:
            labels = np.stack([coarse, fine], axis=1).astype(np.uint8)
            records = np.hstack([labels, rows(images[part])])
            (tmp_path / f"{name}.bin").write_bytes(records.tobytes())
            (tmp_path / "fine_label_names.txt").write_text("\n".join(NAMES))
        else:
            batch = {"data": rows(images[part]), "fine_labels": fine.tolist(),
                     "coarse_labels": coarse.tolist()}  # fmt: skip
            (tmp_path / name).write_bytes(pickle.dumps(batch, protocol=2))
            (tmp_path / "meta").write_bytes(pickle.dumps({"fine_label_names": NAMES}))
    dataset = load_cifar(tmp_path)
    assert dataset.class_names == tuple(NAMES)
    np.testing.assert_array_equal(dataset.y_train, LABELS[:20])
    np.testing.assert_array_equal(dataset.x_test, images[20:])


def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(tmp_path, images):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was run",))

    write_ten(tmp_path, images, python3_pickle(2))
    (tmp_path / "data_batch_2").write_bytes(pickle.dumps({"data": Bomb()}))
    with pytest.raises(ValueError, match="data_batch_2: not a pickle of arrays.*convert it with"):
        load_cifar(tmp_path)


def test_damage_and_missing_files_are_named(tmp_path, images, damaged):
    write_ten(tmp_path, images)
    path = tmp_path / "data_batch_4.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="data_batch_4.bin: 12,291 bytes are no whole number of"):
        load_cifar(tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match="data_batch_4.bin is missing beside data_batch_1.bin"):
        load_cifar(tmp_path)


def test_any_damage_to_a_batch_is_reported_or_read(tmp_path, images, damaged):
    write_ten(tmp_path, images, python3_pickle(2))
    path = tmp_path / "data_batch_1"
    for data in damaged(path.read_bytes()):
        path.write_bytes(data)
        try:
            load_cifar(tmp_path)
        except ValueError as error:
            assert str(tmp_path) in str(error)
