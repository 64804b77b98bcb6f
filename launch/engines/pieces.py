"""Answers with arrays in them, as pieces: gRPC's client copies a message several times.

What is copied once more while it is in the processor's cache costs little, so arrays travel as
pieces that fit there, and outside of the message that they belong to: its first piece says how long
each of them is, in the order in which they follow.
"""

import io
import itertools
import struct
from collections.abc import Iterator
from typing import Any

import msgpack

from stillhouse.launch.engines.messages import MOST_BYTES, MessageError, decode, encode

PIECE_BYTES = 2**20
# A message that is no larger is one piece: more of them would cost more than copies do.
WHOLE_BYTES = 2**21
# Bytes that are fewer stay in the message.
LARGE_BYTES = 2**16

# In the place of bytes that follow: their number.
_FOLLOWS = 1
_LENGTH = struct.Struct(">Q")


def cut(value: Any) -> Iterator[bytes]:
    """Return a message as pieces, which are made as they are asked for.

    Raises:
        MessageError: at once, if anything else is in it than what may be, or it is too large.
    """
    large: list[bytes] = []
    first = encode(_set_aside(value, large))
    size = len(first) + sum(map(len, large))
    if size <= WHOLE_BYTES:
        return iter((encode(value),))
    _check_size(size)
    return itertools.chain((first,), _pieces(large))


def _pieces(large: list[bytes]) -> Iterator[bytes]:
    for data in large:
        for start in range(0, len(data), PIECE_BYTES):
            yield data[start : start + PIECE_BYTES]


def _set_aside(value: Any, large: list[bytes]) -> Any:
    """Return a value with a length in the place of all large bytes, which are put into a list."""
    if type(value) is bytes and len(value) >= LARGE_BYTES:
        large.append(value)
        return msgpack.ExtType(_FOLLOWS, _LENGTH.pack(len(value)))
    if type(value) is list:
        return [_set_aside(item, large) for item in value]
    if type(value) is dict:
        return {key: _set_aside(item, large) for key, item in value.items()}
    return value


class Assembly:
    """Puts a message together again. It holds no more memory than what has come.

    Args:
        items: how many a list or dict may have.

    Attributes:
        size: bytes that have come.
    """

    def __init__(self, *, items: int) -> None:
        self.size = 0
        self._items = items
        self._first: bytes | None = None
        self._lengths: list[int] = []
        self._whole: list[bytes] = []
        self._begun = io.BytesIO()

    @property
    def is_whole(self) -> bool:
        """Whether all pieces have come."""
        return self._first is not None and len(self._whole) == len(self._lengths)

    def add(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            MessageError: if it is none.
        """
        self.size += len(piece)
        if self._first is None:
            decode(piece, items=self._items, ext_hook=self._note)
            _check_size(len(piece) + sum(self._lengths))
            self._first = piece
            return
        if self.is_whole or not piece:
            raise MessageError(f"a piece of {len(piece):,} bytes that belongs to no message")
        self._begun.write(piece)
        missing = self._lengths[len(self._whole)] - self._begun.tell()
        if missing < 0:
            raise MessageError(f"{-missing:,} bytes more than a message said would follow")
        if not missing:
            self._whole.append(self._begun.getvalue())
            self._begun = io.BytesIO()

    def value(self) -> Any:
        """Return the message.

        Raises:
            MessageError: if pieces are missing.
        """
        if self._first is None or not self.is_whole:
            raise MessageError(f"a message that was cut short after {self.size:,} bytes")
        found = iter(self._whole)
        return decode(self._first, items=self._items, ext_hook=lambda code, data: next(found))

    def _note(self, code: int, data: bytes) -> None:
        if code != _FOLLOWS or len(data) != _LENGTH.size:
            raise ValueError(f"an extension of type {code}")
        (length,) = _LENGTH.unpack(data)
        if length < LARGE_BYTES:
            raise ValueError(f"{length} bytes, which do not travel by themselves")
        self._lengths.append(length)


def _check_size(size: int) -> None:
    if size > MOST_BYTES:
        raise MessageError(f"a message of {size:,} bytes, where {MOST_BYTES:,} are allowed")
