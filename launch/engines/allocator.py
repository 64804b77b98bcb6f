"""What the C library does with memory that is freed."""

import contextlib
import ctypes

# glibc's numbers of what can be set, from its malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_KEPT_BYTES = 2**27
_AHEAD_BYTES = 2**24
_MAPPED_BYTES = 2**25  # The most that there may be.


def keep_freed_memory() -> None:
    """Keep memory for arrays that come and go, where the C library is glibc.

    By default it goes back to the system and comes again as pages that are cleared, for each array:
    a third of what a byte costs a server. What is kept is a hundred megabytes or two.
    """
    with contextlib.suppress(OSError, AttributeError):  # Another library: it does as it does.
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_TOP_PAD, _AHEAD_BYTES)
        mallopt(_MMAP_THRESHOLD, _MAPPED_BYTES)
