"""Messages that anybody may send."""

import struct
import tracemalloc

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.launch.engines.messages import MessageError, decode, encode

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
    | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@given(plain)
def test_what_is_sent_is_what_comes(value):
    assert decode(encode(value), items=10) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(data):
    try:
        decode(data, items=10)
    except MessageError as error:
        assert "no message" in str(error)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x93\x01",  # Cut short.
        b"\x01\x02",  # Two of them.
        b"\x91" * 5000 + b"\x01",  # Deep.
        b"\xa2\xff\xfe",  # No text.
        b"\x81\x90\x01",  # A key that is a list.
        b"\xc7\x0c\xff" + bytes(12),  # A time, which would become an object.
        b"\xd4\x05\x00",
        b"\xc7\x00\x05",
        encode(list(range(11))),
        encode({str(i): i for i in range(11)}),
    ],
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(MessageError):
        decode(data, items=10)


def test_a_length_that_is_claimed_takes_no_memory():
    # Each list of these claims four billion items.
    for data in (b"\xdd\xff\xff\xff\xff" * 300, b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"):
        tracemalloc.start()
        with pytest.raises(MessageError):
            decode(data, items=4096)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2**20
    # And what is allowed, as deep as it goes.
    data = (b"\xdd" + struct.pack(">I", 4096)) * 1000
    tracemalloc.start()
    with pytest.raises(MessageError):
        decode(data, items=4096)
    assert tracemalloc.get_traced_memory()[1] < 2**26
    tracemalloc.stop()


@pytest.mark.parametrize("value", [object(), {1, 2}, 2**64, [lambda: 0], msgpack.ExtType(3, b"x")])
def test_other_objects_are_not_sent(value):
    with pytest.raises(MessageError):
        decode(encode(value), items=10)
