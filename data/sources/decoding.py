"""Encoded images (PNG, JPEG, ...) to arrays, on all cores."""

import concurrent.futures
import io
import os
from collections.abc import Sequence

import numpy as np
from PIL import Image, UnidentifiedImageError

from stillhouse.data.arrays import size_name

_GREY = ("1", "L")
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_COLOUR = ("P", "RGB", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")


class ImageStack:
    """Decoded images of one size, filled in order.

    Grey images take one channel. The first colour image makes the whole stack RGB: grey images
    among colour ones get three equal channels.

    Args:
        length: the number of images to come.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._filled = 0
        self._images: np.ndarray | None = None

    def extend(self, files: Sequence[bytes | None], pool: concurrent.futures.Executor) -> None:
        """Decode the next image files, in parallel.

        Raises:
            ValueError: naming the row, if an image is missing, cannot be decoded, or differs in
                size from the first one.
        """
        decoded = list(pool.map(_decode_some, _deal(files, self._filled)))
        for image in (image for part in decoded for image in part):
            if self._images is None:
                self._images = np.empty((self._length, *image.shape), dtype=np.uint8)
            elif image.shape[:2] != self._images.shape[1:3]:
                raise ValueError(
                    f"images must have one size: row {self._filled} is "
                    f"{size_name(image.shape[:2])}, row 0 is {size_name(self._images.shape[1:3])}"
                )
            if image.shape[2] > self._images.shape[3]:
                self._images = np.repeat(self._images, 3, axis=3)
            self._images[self._filled] = image
            self._filled += 1

    def images(self) -> np.ndarray:
        """Return uint8 `[n, h, w, 1 or 3]`."""
        assert self._images is not None and self._filled == self._length
        return self._images


def decode_image(data: bytes) -> np.ndarray:
    """Decode one image file.

    What has transparency is laid on white.

    Returns:
        uint8 `[h, w, 1]` for grey images, `[h, w, 3]` for all others.

    Raises:
        ValueError: if it is no image, is damaged, or has more than 8 bits a channel.
    """
    try:
        image: Image.Image = Image.open(io.BytesIO(data))
        image.load()
    except UnidentifiedImageError as error:
        raise ValueError(f"{len(data)} bytes that are no image file") from error
    # Pillow's readers raise what they stumble over: OSError, SyntaxError, struct.error, ...
    except Exception as error:
        raise ValueError(f"cannot decode the image ({error})") from error
    if image.mode in _ALPHA or (image.mode == "P" and "transparency" in image.info):
        grey = image.mode in ("LA", "La")
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("L" if grey else "RGB")
    elif image.mode in _GREY:
        image = image.convert("L")
    elif image.mode in _COLOUR:
        image = image.convert("RGB")
    else:
        raise ValueError(
            f"cannot use an image of Pillow's mode {image.mode!r}: expected 8 bits a channel"
        )
    array = np.asarray(image)
    return array[..., np.newaxis] if array.ndim == 2 else array


def decoding_pool() -> concurrent.futures.ThreadPoolExecutor:
    """Return a pool for `ImageStack.extend`; Pillow decodes outside the interpreter's lock."""
    return concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1))


def _deal(files: Sequence[bytes | None], first: int) -> list[tuple[int, Sequence[bytes | None]]]:
    """Cut a batch into parts for the threads, each with the row it starts at."""
    step = 128  # large enough that handing a part over costs nothing
    return [(first + i, files[i : i + step]) for i in range(0, len(files), step)]


def _decode_some(part: tuple[int, Sequence[bytes | None]]) -> list[np.ndarray]:
    first, files = part
    images = []
    for row, data in enumerate(files, first):
        if data is None:
            raise ValueError(f"row {row} has no image bytes")
        try:
            images.append(decode_image(data))
        except ValueError as error:
            raise ValueError(f"row {row}: {error}") from error
    return images
