import hashlib
import struct

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stillhouse.data.wire import WireError, digest, pack, unpack

_DTYPES = ("float32", "float64", "int32", "int64", "uint8", "bool")
_SOME = np.arange(12, dtype=np.float32).reshape(3, 4)


def changed(data, at, value):
    return data[:at] + bytes([value]) + data[at + 1 :]


@given(
    st.sampled_from(_DTYPES).flatmap(
        lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, min_side=0))
    )
)
def test_an_array_comes_back_as_it_was(array):
    back = unpack(pack(array))
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "array", [_SOME.T, _SOME[::2, ::-1], _SOME.astype(">f4"), np.float32(3)], ids=str
)
def test_any_layout_can_be_sent(array):
    np.testing.assert_array_equal(unpack(pack(array)), array)


def test_what_was_read_is_no_copy_and_cannot_be_written():
    data = pack(_SOME)
    back = unpack(data)
    assert np.shares_memory(back, np.frombuffer(data, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        back[0, 0] = 1


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([{}]), np.zeros(2, complex)], ids=str)
def test_what_is_not_numbers_is_not_sent(array):
    with pytest.raises(WireError, match=r"cannot be sent, only of float32, .*bool"):
        pack(array)


def test_more_axes_than_a_reader_allows_are_not_sent():
    with pytest.raises(WireError, match="9 axes"):
        pack(np.zeros((1,) * 9))


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda junk: pack(_SOME)[:5] + junk))
def test_junk_is_refused(data):
    with pytest.raises(WireError):
        unpack(data)


@given(st.data())
@settings(max_examples=200)
def test_a_single_changed_byte_is_seen(data):
    sent = pack(_SOME)
    at = data.draw(st.integers(0, len(sent) - 1).filter(lambda i: i != 7))  # 7 is padding.
    value = data.draw(st.integers(0, 255).filter(lambda value: value != sent[at]))
    with pytest.raises(WireError):
        unpack(changed(sent, at, value))


@pytest.mark.parametrize("length", [0, 5, 12, 20, 50, 75])
def test_an_array_cut_short_is_refused(length):
    assert length < len(pack(_SOME))
    with pytest.raises(WireError):
        unpack(pack(_SOME)[:length])


@pytest.mark.parametrize(
    "shape", [(2**63, 2), (2**32, 2**32), (2**64 - 1,), (0, 2**64 - 1), (2**62, 4, 1)], ids=str
)
def test_a_shape_that_would_overflow_is_refused(shape):
    axes = struct.pack(f"<{len(shape)}Q", *shape)
    with pytest.raises(WireError):
        unpack(struct.pack("<4sBBBxQ", b"SHAR", 2, 1, len(shape), 0) + axes)


def test_a_bool_of_another_value_is_refused():
    shape, values = struct.pack("<Q", 1), b"\x07"
    checksum = xxhash.xxh3_64_intdigest(shape + values)
    with pytest.raises(WireError, match="bool"):
        unpack(struct.pack("<4sBBBxQ", b"SHAR", 2, 6, 1, checksum) + shape + values)


def test_more_bytes_than_allowed_are_refused():
    data = pack(_SOME)
    unpack(data, max_bytes=len(data))
    with pytest.raises(WireError, match=r"where 75 are allowed"):
        unpack(data, max_bytes=75)


@pytest.mark.parametrize("data", [None, "text", bytearray(pack(_SOME)), 3], ids=str)
def test_what_is_not_bytes_is_refused(data):
    with pytest.raises(WireError, match="comes as bytes"):
        unpack(data)


def test_a_newer_format_says_so():
    with pytest.raises(WireError, match="format 3, where 2 is known"):
        unpack(changed(pack(_SOME), 4, 3))


def test_the_name_of_a_blob_is_its_sha256():
    assert digest(b"abc") == hashlib.sha256(b"abc").hexdigest()
