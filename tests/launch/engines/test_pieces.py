"""Messages that come piece by piece, from anybody."""

import struct
import tracemalloc

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.launch.engines import pieces
from stillhouse.launch.engines.messages import MessageError, encode
from stillhouse.launch.engines.pieces import LARGE_BYTES, PIECE_BYTES, WHOLE_BYTES, Assembly, cut

# With anything else in its message it goes in pieces.
WHOLE = bytes(range(256)) * (WHOLE_BYTES // 256)
large = st.integers(0, 3).map(lambda seed: bytes([seed]) * (WHOLE_BYTES // 3 + 1000 * seed))
values = st.recursive(
    st.none() | st.integers(0, 2**32) | st.text() | st.binary() | large,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def assembled(found, items=10):
    message = Assembly(items=items)
    for piece in found:
        assert not message.is_whole
        message.add(piece)
    return message.value()


@given(values)
def test_what_is_sent_is_what_comes(value):
    assert assembled(cut(value)) == value


def test_arrays_follow_in_pieces_and_all_else_is_one():
    array = bytes(range(256)) * (2 * PIECE_BYTES // 256) + b"end"
    first, *rest = cut(["complete", array, {"blobs": {"name": b"x" * LARGE_BYTES}}])
    assert len(first) < 100
    assert [*map(len, rest)] == [PIECE_BYTES, PIECE_BYTES, 3, LARGE_BYTES]
    assert b"".join(rest[:3]) == array
    small = b"x" * (LARGE_BYTES - 1)
    first, *_ = cut([WHOLE, small])
    assert small in first and len(first) < LARGE_BYTES + 100


def test_a_message_that_is_not_much_larger_than_a_piece_is_one():
    value = {"blobs": {"a": b"x" * LARGE_BYTES, "b": bytes(WHOLE_BYTES - 2 * LARGE_BYTES)}}
    assert [*cut(value)] == [encode(value)]


def test_pieces_may_be_of_any_length():
    first, *_ = cut([WHOLE, 1])
    assert assembled([first, WHOLE[:1], WHOLE[1:70_000], WHOLE[70_000:]]) == [WHOLE, 1]


@pytest.mark.parametrize(
    "extension",
    [
        msgpack.ExtType(1, b""),
        msgpack.ExtType(1, struct.pack(">Q", 10)),  # Which would be in the message.
        msgpack.ExtType(2, struct.pack(">Q", LARGE_BYTES)),
        msgpack.ExtType(1, bytes(9)),
        msgpack.ExtType(1, struct.pack(">Q", 2**40)),  # More than may be sent.
    ],
)
def test_what_does_not_say_what_follows_is_refused(extension):
    with pytest.raises(MessageError):
        Assembly(items=10).add(msgpack.packb([extension]))


def test_lengths_that_are_too_much_together_are_refused():
    half = msgpack.ExtType(1, struct.pack(">Q", 2**29 + 1))
    Assembly(items=10).add(msgpack.packb([half]))
    with pytest.raises(MessageError, match=r"1,073,741,8\d\d bytes, where 1,073,741,824"):
        Assembly(items=10).add(msgpack.packb([half, half]))


def test_a_message_that_is_cut_short_is_none():
    first, *_ = cut([WHOLE])
    for begun in ([], [first], [first, WHOLE[:-1]]):
        with pytest.raises(MessageError, match="cut short after"):
            assembled(begun)


def test_more_than_was_said_is_refused():
    first, *_ = cut([WHOLE])
    for more in ([first, WHOLE + b"y"], [first, b""]):
        with pytest.raises(MessageError):
            assembled(more)
    message = Assembly(items=10)
    message.add(encode("whole"))
    with pytest.raises(MessageError, match="belongs to no message"):
        message.add(b"more")


def test_a_length_that_is_claimed_takes_no_memory():
    tracemalloc.start()
    message = Assembly(items=10)
    message.add(msgpack.packb([msgpack.ExtType(1, struct.pack(">Q", 2**29))]))
    message.add(b"only these")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_too_much_is_not_sent(monkeypatch):
    monkeypatch.setattr(pieces, "MOST_BYTES", 2 * WHOLE_BYTES)
    cut([WHOLE])
    with pytest.raises(MessageError, match="where 4,194,304 are allowed"):
        cut([WHOLE, WHOLE])
