"""Blobs in Ray's object store, put there once for all workers."""

import collections
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stillhouse.data.wire import unpack

_CAPACITY = 2**28


class SharedBlobs:
    """References to the arrays used last, by the hash of their packed bytes.

    Ray keeps an object as long as somebody has a reference: we, or a call that is under way.

    Args:
        put: `ray.put`.
        capacity: bytes of arrays to keep referring to.
    """

    def __init__(self, put: Callable[[Any], Any], capacity: int = _CAPACITY) -> None:
        self._put, self._capacity = put, capacity
        self._held: collections.OrderedDict[str, tuple[Any, int]] = collections.OrderedDict()
        self._bytes = 0

    def refs(
        self, names: Sequence[str], fetch: Callable[[list[str]], Mapping[str, bytes]]
    ) -> list[Any] | None:
        """Return references to the arrays of these hashes; None if one is not to be had.

        Args:
            names: the hashes.
            fetch: gives the blobs of those that are not held, as far as there are such.
        """
        missing = [name for name in names if name not in self._held]
        for name, blob in (fetch(missing) if missing else {}).items():
            # The array, not its bytes: workers then read it where it lies, without a copy.
            array = unpack(blob)
            self._held[name] = self._put(array), array.nbytes
            self._bytes += array.nbytes
        if not all(name in self._held for name in names):
            return None
        found = []
        for name in names:
            self._held.move_to_end(name)
            found.append(self._held[name][0])
        while self._bytes > self._capacity:
            _, (_, size) = self._held.popitem(last=False)
            self._bytes -= size
        return found
