import json

import numpy as np
import pytest

from stillhouse.server.checkpoints import Checkpoint, CheckpointError, CheckpointStore


def checkpoint(step):
    rng = np.random.default_rng(step)
    arrays = {"images": rng.normal(size=(2, 3)).astype(np.float32), "opt/0": np.array(step)}
    return Checkpoint(step, arrays, {"seconds": 1.5, "test": None})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_gives_back_the_same_bits(tmp_path):
    store = CheckpointStore(tmp_path)
    assert store.latest() is None
    store.save(checkpoint(7))
    read = store.latest()
    assert (read.step, read.meta) == (7, {"seconds": 1.5, "test": None})
    assert read.arrays.keys() == checkpoint(7).arrays.keys()
    for name, array in checkpoint(7).arrays.items():
        assert read.arrays[name].tobytes() == array.tobytes()
        assert read.arrays[name].dtype == array.dtype


def test_keeps_the_last_few_in_the_order_of_steps(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    for step in (8, 9, 10, 11):
        store.save(checkpoint(step))
    assert names(tmp_path) == ["step-000010.npz", "step-000011.npz"]
    store.save(checkpoint(1_000_000))
    assert store.latest().step == 1_000_000


@pytest.mark.parametrize("damage", ["cut", "altered", "empty", "foreign"])
def test_passes_over_a_damaged_one(tmp_path, damage, caplog):
    store = CheckpointStore(tmp_path)
    store.save(checkpoint(1))
    path = store.save(checkpoint(2))
    content = bytearray(path.read_bytes())
    if damage == "altered":  # a bit within the first array: the archive's checksum is wrong
        content[content.index(b"NUMPY") + 130] ^= 1
    path.write_bytes(
        {"cut": content[: len(content) // 2], "altered": content, "empty": b""}.get(damage, b"PK")
    )
    if damage == "foreign":
        np.savez(path, images=np.zeros(3))
    assert store.latest().step == 1
    assert "step-000002.npz" in caplog.text


def test_what_is_later_than_the_newest_goes(tmp_path):
    store = CheckpointStore(tmp_path)
    store.save(checkpoint(1))
    (tmp_path / "step-000009.npz").write_bytes(b"damaged")
    store.save(checkpoint(2))
    assert names(tmp_path) == ["step-000001.npz", "step-000002.npz"]


def test_leaves_other_files_alone(tmp_path):
    for name in ("step-1.npz.bak", "notes.txt", "step-000003.npy"):
        (tmp_path / name).touch()
    CheckpointStore(tmp_path, keep=1).save(checkpoint(1))
    assert len(names(tmp_path)) == 4


def test_a_newer_format_is_refused_not_passed_over(tmp_path):
    store = CheckpointStore(tmp_path)
    path = store.save(checkpoint(5))
    with np.load(path) as archive:
        arrays = dict(archive)
    meta = json.loads(str(arrays["meta"]))
    arrays["meta"] = np.array(json.dumps({**meta, "format_version": 99}))
    np.savez(path, **arrays)
    with pytest.raises(CheckpointError, match="newer Stillhouse"):
        store.latest()


def test_a_write_that_fails_leaves_the_last_one(tmp_path, monkeypatch):
    store = CheckpointStore(tmp_path)
    store.save(checkpoint(1))

    def no_space(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        store.save(checkpoint(2))
    assert names(tmp_path) == ["step-000001.npz"]
    assert store.latest().step == 1
