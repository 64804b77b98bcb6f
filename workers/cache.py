"""Blobs that a worker keeps, so that each travels once."""

import collections
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from stillhouse.data.memory import total_memory
from stillhouse.data.wire import WireError, digest, unpack

_SHARE = 16


def default_capacity(workers: int = 1) -> int:
    """Return the bytes that a worker keeps by default: a sixteenth of the machine's memory.

    Args:
        workers: how many share it.
    """
    return total_memory() // _SHARE // workers


def blobs_of_task(
    names: Sequence[str],
    enclosed: Mapping[str, bytes],
    fetch: Callable[[list[str]], Mapping[str, bytes]],
) -> dict[str, bytes]:
    """Return the blobs of these hashes: what came with the task, and of the rest what there is.

    Args:
        names: the hashes.
        enclosed: the blobs that came with the task.
        fetch: asks for others.
    """
    blobs = {name: enclosed[name] for name in names if name in enclosed}
    if rest := [name for name in names if name not in enclosed]:
        blobs |= fetch(rest)
    return blobs


class BlobCache:
    """The arrays used last, by the hash of their packed bytes.

    Not for several threads at once. An array that is dropped lives on for whoever holds it.

    Args:
        capacity: bytes of arrays to keep; an array larger than that is not kept at all.

    Attributes:
        bytes_held: bytes of the arrays kept now.
    """

    def __init__(self, capacity: int) -> None:
        self.bytes_held = 0
        self._capacity = capacity
        self._arrays: collections.OrderedDict[str, np.ndarray] = collections.OrderedDict()

    def get(self, name: str) -> np.ndarray | None:
        """Return the array of a hash, read only; None if it is not held."""
        if name in self._arrays:
            self._arrays.move_to_end(name)
        return self._arrays.get(name)

    def add(self, name: str, data: bytes) -> np.ndarray:
        """Keep the array that bytes hold, and return it, read only.

        Raises:
            WireError: if the bytes are not those that the hash names, or no array.
        """
        array = unpack(data)
        if digest(data) != name:
            raise WireError(f"the bytes that came for the blob {name[:12]} have another hash")
        if name not in self._arrays:
            self._arrays[name] = array
            self.bytes_held += array.nbytes
        while self.bytes_held > self._capacity:
            _, oldest = self._arrays.popitem(last=False)
            self.bytes_held -= oldest.nbytes
        return array
