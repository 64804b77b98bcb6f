"""Products whose bits do not go with the machine."""

import contextlib
import functools
import threading
from collections.abc import Iterator

from threadpoolctl import ThreadpoolController

# How many threads products have is one number for the whole process.
_LIMIT = threading.RLock()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Have products computed by one thread: their bits go with the number of threads."""
    with _LIMIT, _libraries().limit(limits=1, user_api="blas"):
        yield


@contextlib.contextmanager
def usual_threads() -> Iterator[None]:
    """Have products computed by as many threads as always, whatever other threads want."""
    with _LIMIT:
        yield


@functools.cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()
