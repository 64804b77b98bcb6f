"""How much of a file is taken into memory: what its header says, and what the machine has.

A few bytes can stand for gigabytes. Whoever reads a file asks here first, with the size that the
file itself declares, and then reads no more than that.
"""

from stillhouse.data.memory import available_memory

# Real images shrink to a half, digits to a fifth, line drawings to a fiftieth.
_RATIO = 50
# Taken whatever the ratio: small files of equal values are common, and harmless.
_FLOOR = 16 * 2**20


def check_unpacked(size: int, packed: int, max_bytes: int | None = None) -> None:
    """Check that what a file unpacks to may be held in memory.

    Without `max_bytes` it is fifty times the size of the file (16 MiB for small ones), and half of
    the memory that the machine has left.

    Args:
        size: the bytes it unpacks to.
        packed: the bytes of the file.
        max_bytes: how many there may be; None for the rule above.

    Raises:
        ValueError: if they are more.
    """
    if max_bytes is not None:
        if size > max_bytes:
            raise ValueError(
                f"unpacks to {_size(size)}, more than `max_bytes={max_bytes}`; raise that if you "
                "trust the file"
            )
        return
    if size > max(_FLOOR, _RATIO * packed):
        raise ValueError(
            f"unpacks to {_size(size)} from {_size(packed)}, as no images do; if you trust the "
            f"file, give `max_bytes={size}`"
        )
    check_memory(size)


def check_memory(size: int, max_bytes: int | None = None) -> None:
    """Check that this many bytes may be held: half of the memory left, or `max_bytes`.

    Raises:
        ValueError: if they are more.
    """
    limit = available_memory() // 2 if max_bytes is None else max_bytes
    if size > limit:
        raise ValueError(
            f"takes {_size(size)} of memory, where {_size(limit)} may be used; if the machine has "
            f"it, give `max_bytes={size}`"
        )


def _size(count: int) -> str:
    for limit, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= limit:
            return f"{count / limit:,.1f} {unit}"
    return f"{count} bytes"
