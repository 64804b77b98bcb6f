"""What travels by gRPC: MessagePack of numbers, texts, bytes, lists and dicts, and of nothing else.

Reading one runs no code, whatever the bytes. A list says its length before its items, and room for
that many is made at once, so it is held to a limit first; depth is held to one by MessagePack.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgpack

# The longest list of a request, of an answer: workers name results, a server names its workers.
REQUEST_ITEMS, ANSWER_ITEMS = 4096, 2**14
# A message, of which arrays are nearly all.
MOST_BYTES = 2**30
# Of an extension, which stands for what is not in the message.
_MOST_EXTENSION_BYTES = 8


class MessageError(ValueError):
    """Bytes that are no message, or more than may be sent."""


def encode(value: Any) -> bytes:
    """Return a message as bytes.

    Raises:
        MessageError: if anything else is in it than what may be, or it is too large.
    """
    try:
        data: bytes = msgpack.packb(value, use_bin_type=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise MessageError(f"this cannot be sent: {error}") from error
    if len(data) > MOST_BYTES:
        raise MessageError(f"a message of {len(data):,} bytes, where {MOST_BYTES:,} are allowed")
    return data


def encode_list(messages: Sequence[bytes]) -> bytes:
    """Return the list of some messages, each of which is encoded already."""
    return b"".join((msgpack.Packer().pack_array_header(len(messages)), *messages))


def decode(data: bytes, *, items: int, ext_hook: Callable[[int, bytes], Any] | None = None) -> Any:
    """Return the message of these bytes.

    Args:
        data: the bytes.
        items: how many a list or dict may have.
        ext_hook: takes the number and the bytes of an extension, and returns what it stands for;
            None to have none.

    Raises:
        MessageError: if they are none.
    """
    try:
        return msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            max_array_len=items,
            max_map_len=items,
            max_ext_len=0 if ext_hook is None else _MOST_EXTENSION_BYTES,
            ext_hook=_refuse if ext_hook is None else ext_hook,
        )
    except (msgpack.UnpackException, ValueError, TypeError, RecursionError) as error:
        raise MessageError(f"{len(data):,} bytes that are no message: {error}") from error


def _refuse(code: int, data: bytes) -> None:
    raise ValueError(f"an extension of type {code}")
