"""Bytes under the hash of their content, and the shared arrays of tasks among them."""

import threading
from collections.abc import Iterable

import numpy as np

from stillhouse.data.pixel_images import Images, PixelImages
from stillhouse.data.wire import digest, pack

# A blob that is no larger comes with the task that needs it: a call which asks for it would cost
# the server more than its bytes do.
MOST_ENCLOSED_BYTES = 2**18


class BlobStore:
    """Keeps bytes once, however often they are put, until nobody needs them; for many threads.

    Attributes:
        bytes_held: of all blobs.
    """

    def __init__(self) -> None:
        self.bytes_held = 0
        self._blobs: dict[str, bytes] = {}
        self._needed: dict[str, int] = {}
        self._lock = threading.Lock()

    def put(self, data: bytes) -> str:
        """Keep bytes until they are released as often as they were put, and return their hash."""
        name = digest(data)
        with self._lock:
            if name not in self._blobs:
                self._blobs[name] = data
                self.bytes_held += len(data)
            self._needed[name] = self._needed.get(name, 0) + 1
        return name

    def get(self, name: str) -> bytes | None:
        """Return the bytes of a hash; None if they are not there, or not any more."""
        return self._blobs.get(name)

    def get_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the bytes of these hashes, as far as they are there."""
        found = {name: self.get(name) for name in names}
        return {name: data for name, data in found.items() if data is not None}

    def release(self, name: str) -> None:
        """Need bytes once less.

        Raises:
            KeyError: if nobody needs them.
        """
        with self._lock:
            self._needed[name] -= 1
            if not self._needed[name]:
                del self._needed[name]
                self.bytes_held -= len(self._blobs.pop(name))

    def __len__(self) -> int:
        return len(self._blobs)


class PackedArrays:
    """The blobs of arrays that many tasks have in common, each packed and hashed once.

    Arrays are known by where they lie in memory: they must not change meanwhile.

    Args:
        blobs: where they are put.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        # With the arrays, so that no others come to lie there.
        self._packed: dict[tuple[object, ...], tuple[str, Images]] = {}

    def name(self, array: Images) -> str:
        """Return the hash of an array, which is put if it is new."""
        key = _place(array.pixels) if isinstance(array, PixelImages) else _place(array)
        if key not in self._packed:
            self._packed[key] = self._blobs.put(pack(array)), array
        return self._packed[key][0]

    def release(self) -> None:
        """Need none of them any more."""
        for name, _ in self._packed.values():
            self._blobs.release(name)
        self._packed.clear()


def _place(array: np.ndarray) -> tuple[object, ...]:
    return array.ctypes.data, array.dtype, array.shape, array.strides
