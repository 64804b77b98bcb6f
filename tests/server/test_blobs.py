import numpy as np
import pytest

from stillhouse.data.wire import digest, pack, unpack
from stillhouse.server.blobs import BlobStore, PackedArrays


def test_keeps_bytes_once_and_as_long_as_they_are_needed():
    blobs = BlobStore()
    name = blobs.put(b"abc")
    assert name == digest(b"abc") == blobs.put(b"abc")
    assert (len(blobs), blobs.bytes_held) == (1, 3)
    blobs.release(name)
    assert blobs.get(name) == b"abc"
    blobs.release(name)
    assert blobs.get(name) is None
    assert (len(blobs), blobs.bytes_held) == (0, 0)
    with pytest.raises(KeyError):
        blobs.release(name)


def test_images_in_common_are_packed_once(monkeypatch):
    packed = []
    monkeypatch.setattr("stillhouse.server.blobs.pack", lambda x: packed.append(x) or pack(x))
    blobs = BlobStore()
    x = np.arange(96, dtype=np.float32).reshape(6, 4, 4, 1)
    images = PackedArrays(blobs)
    names = [images.name(part) for part in (x[:3], x[3:], x[:3], x[::2], x[:3].copy())]
    assert len(packed) == 4
    assert names[0] == names[2] == names[4]
    np.testing.assert_array_equal(unpack(blobs.get(names[3])), x[::2])
    assert len(blobs) == 3
    images.release()
    assert len(blobs) == 0


def test_two_that_need_the_same_images_do_not_take_them_from_each_other():
    blobs = BlobStore()
    x = np.zeros((2, 4, 4, 1), np.float32)
    one, other = PackedArrays(blobs), PackedArrays(blobs)
    name = one.name(x)
    other.name(x)
    one.release()
    assert blobs.get(name) is not None
    other.release()
    assert blobs.get(name) is None
