import numpy as np
import pytest

from stillhouse.data.wire import WireError, digest, pack
from stillhouse.workers.cache import BlobCache


def blob(value, n=4):
    """The name and the bytes of an array of n float32."""
    data = pack(np.full(n, value, np.float32))
    return digest(data), data


def test_what_was_added_is_there():
    cache = BlobCache(100)
    name, data = blob(3)
    assert cache.get(name) is None
    added = cache.add(name, data)
    np.testing.assert_array_equal(added, np.full(4, 3, np.float32))
    assert cache.get(name) is added
    assert not added.flags.writeable
    assert cache.bytes_held == 16


def test_what_was_used_last_stays():
    cache = BlobCache(40)
    blobs = [blob(value) for value in range(3)]
    cache.add(*blobs[0])
    cache.add(*blobs[1])
    cache.get(blobs[0][0])
    cache.add(*blobs[2])
    assert [cache.get(name) is not None for name, _ in blobs] == [True, False, True]
    assert cache.bytes_held == 32


def test_added_twice_it_is_held_once():
    cache = BlobCache(100)
    cache.add(*blob(1))
    cache.add(*blob(1))
    assert cache.bytes_held == 16


def test_an_array_beyond_the_capacity_is_handed_out_but_not_kept():
    cache = BlobCache(40)
    cache.add(*blob(0))
    name, data = blob(1, n=100)
    assert cache.add(name, data).shape == (100,)
    assert cache.get(name) is None
    assert cache.bytes_held == 0


def test_other_bytes_than_the_hash_names_are_refused():
    cache = BlobCache(100)
    name, _ = blob(1)
    with pytest.raises(WireError, match=f"the blob {name[:12]} have another hash"):
        cache.add(name, blob(2)[1])
    with pytest.raises(WireError):
        cache.add(name, b"junk")
    assert cache.bytes_held == 0
