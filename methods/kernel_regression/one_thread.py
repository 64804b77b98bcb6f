"""Products whose bits do not go with the machine."""

import functools
from typing import Any

from threadpoolctl import ThreadpoolController


def one_thread() -> Any:
    """Have products computed by one thread: their bits go with the number of threads."""
    return _libraries().limit(limits=1, user_api="blas")


@functools.cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()
