"""Encoded images (PNG, JPEG, ...) to arrays, on all cores."""

import concurrent.futures
import io
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from stillhouse.data.arrays import size_name
from stillhouse.data.limits import check_memory

_GREY = ("1", "L")
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_COLOUR = ("P", "RGB", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
_ORIENTATION = 0x0112  # the EXIF tag
# Where Pillow finds it: any of these in what it says of a file.
_MAY_SAY = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}
# Of one image, where its size is not known beforehand: 64 MB of pixels, as many as large cameras.
_MOST_PIXELS = 2**26

# The size of an image is checked here, and an error says what is wrong with it.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

# The bytes of an image file, or where they are.
Source = bytes | os.PathLike[str] | None


class ImageStack:
    """Decoded images of one size, filled in order.

    Grey images take one channel. The first colour image makes the whole stack RGB: grey images
    among colour ones get three equal channels.

    Args:
        length: the number of images to come.
        size: height and width to which images are resized; None to refuse other sizes than that of
            the first one.
        name: what errors call an image, by its number.
        max_bytes: what the stack may take; None for half of the memory left.

    Attributes:
        resized: how many images had another size than `size`.

    Raises:
        ValueError: if images of `size` would take too much memory.
    """

    def __init__(
        self,
        length: int,
        *,
        size: tuple[int, int] | None = None,
        name: Callable[[int], str] = lambda number: f"row {number}",
        max_bytes: int | None = None,
    ) -> None:
        self.resized = 0
        self._length = length
        self._resize = size
        self._name = name
        self._max_bytes = max_bytes
        self._filled = 0
        self._images: np.ndarray | None = None
        if size is not None:
            check_memory(length * size[0] * size[1] * 3, max_bytes)

    def extend(self, files: Sequence[Source], pool: concurrent.futures.Executor) -> None:
        """Decode the next image files, in parallel.

        Raises:
            ValueError: naming the image, if it is missing, cannot be decoded, or differs in size
                from the first one, or if the stack would take too much memory.
            OSError: if a file cannot be read.
        """
        if self._images is None and files:
            # Alone, so that all others can be refused before they are decoded.
            self._add(self._decode(self._filled, files[0]))
            files = files[1:]
        for part in pool.map(self._decode_some, _deal(files, self._filled)):
            for image in part:
                self._add(image)

    def images(self) -> np.ndarray:
        """Return uint8 `[n, h, w, 1 or 3]`.

        Raises:
            ValueError: if there are fewer than were to come.
        """
        if self._images is None or self._filled != self._length:
            raise ValueError(f"{self._filled} images, where {self._length} were announced")
        return self._images

    def _add(self, image: np.ndarray) -> None:
        if self._filled == self._length:
            raise ValueError(f"more images than the {self._length} that were announced")
        if self._images is None:
            # As large as it can become.
            check_memory(self._length * image.shape[0] * image.shape[1] * 3, self._max_bytes)
            self._images = np.empty((self._length, *image.shape), dtype=np.uint8)
        if image.shape[2] > self._images.shape[3]:
            self._images = np.repeat(self._images, 3, axis=3)
        self._images[self._filled] = image
        self._filled += 1

    def _decode_some(self, part: tuple[int, Sequence[Source]]) -> list[np.ndarray]:
        first, files = part
        return [self._decode(number, file) for number, file in enumerate(files, first)]

    def _decode(self, number: int, source: Source) -> np.ndarray:
        if source is None:
            raise ValueError(f"{self._name(number)} has no image bytes")
        if isinstance(source, os.PathLike):
            with open(source, "rb") as file:
                source = file.read()
        expected = None
        if self._resize is None and self._images is not None:
            expected = (self._images.shape[1], self._images.shape[2])
        try:
            image = decode_image(source, expected)
            if self._resize is not None and image.shape[:2] != self._resize:
                self.resized += 1
                image = resize_image(image, self._resize)
        except OtherSizeError as error:
            assert expected is not None
            raise ValueError(
                other_sizes((self._name(number), error.size), (self._name(0), expected))
            ) from error
        except ValueError as error:
            raise ValueError(f"{self._name(number)}: {error}") from error
        return image


class OtherSizeError(ValueError):
    """An image of another size than was asked for.

    Attributes:
        size: its height and width.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__(f"an image of {size_name(size)}")
        self.size = size


def decode_image(data: bytes, size: tuple[int, int] | None = None) -> np.ndarray:
    """Decode one image file.

    It is turned upright where its EXIF data say how it was held, as Hugging Face's `datasets` do.
    What has transparency is laid on white.

    Args:
        data: the file.
        size: the height and width it should have; what has other numbers of pixels is not decoded.

    Returns:
        uint8 `[h, w, 1]` for grey images, `[h, w, 3]` for all others.

    Raises:
        OtherSizeError: if it has not the size.
        ValueError: if it is no image, is damaged, has more than 8 bits a channel, or is too large.
    """
    try:
        image: Image.Image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError as error:
        raise ValueError(f"{len(data)} bytes that are no image file") from error
    # Pillow's readers raise what they stumble over: OSError, SyntaxError, struct.error, ...
    except Exception as error:
        raise ValueError(f"cannot decode the image ({error})") from error
    w, h = image.size
    if size is not None and (h, w) not in (size, size[::-1]):
        raise OtherSizeError((h, w))
    if w * h > _MOST_PIXELS:
        raise ValueError(f"an image of {size_name((h, w))} is larger than {_MOST_PIXELS:,} pixels")
    try:
        image.load()
        # To ask every image would take as long as decoding it.
        said = image.format == "TIFF" or not _MAY_SAY.isdisjoint(image.info)
        if said and image.getexif().get(_ORIENTATION, 1) != 1:
            image = ImageOps.exif_transpose(image)
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
    if size is not None and array.shape[:2] != size:  # Lying, where it should stand upright.
        raise OtherSizeError((array.shape[0], array.shape[1]))
    return array[..., np.newaxis] if array.ndim == 2 else array


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a uint8 image `[h, w, c]` in another height and width, bilinear, antialiased."""
    grey = image.shape[2] == 1
    picture = Image.fromarray(image[..., 0] if grey else image)
    resized = np.asarray(picture.resize(size[::-1], Image.Resampling.BILINEAR))
    return resized[..., np.newaxis] if grey else resized


def other_sizes(one: tuple[str, Sequence[int]], other: tuple[str, Sequence[int]]) -> str:
    """Return what to say of two images, or files of them, of two sizes, with what to give."""
    h, w = other[1][:2]
    return (
        f"images must have one size: {one[0]} is {size_name(one[1][:2])}, {other[0]} is "
        f"{size_name((h, w))}; to resize them all give `image_size=({h}, {w})`"
    )


def join_splits(
    train: np.ndarray, test: np.ndarray, names: tuple[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return decoded images of two splits alike: one colour image makes both of them colour.

    Raises:
        ValueError: if they differ in size.
    """
    if train.shape[1:3] != test.shape[1:3]:
        raise ValueError(other_sizes((names[1], test.shape[1:3]), (names[0], train.shape[1:3])))
    channels = max(train.shape[3], test.shape[3])
    return with_channels(train, channels), with_channels(test, channels)


def with_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Return images of one channel, or of as many as this, with as many as this."""
    return images if images.shape[3] == channels else np.repeat(images, channels, axis=3)


def check_image_size(size: Any) -> None:
    """Check that a size to resize to is a height and a width, or None for no resizing.

    Raises:
        ValueError: if it is not.
    """
    if size is None:
        return
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise ValueError(f"`image_size` must be (height, width), such as (32, 32), got {size!r}")
    for pixels in size:
        if isinstance(pixels, bool) or not isinstance(pixels, int | np.integer) or pixels < 1:
            raise ValueError(f"`image_size` must be two whole numbers, 1 or more, got {size!r}")
    if size[0] * size[1] > _MOST_PIXELS:
        raise ValueError(f"`image_size` must be {_MOST_PIXELS:,} pixels at most, got {size!r}")


def decoding_pool() -> concurrent.futures.ThreadPoolExecutor:
    """Return a pool for `ImageStack.extend`; Pillow decodes outside the interpreter's lock."""
    return concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1))


def _deal(files: Sequence[Source], first: int) -> list[tuple[int, Sequence[Source]]]:
    """Cut a batch into parts for the threads, each with the number it starts at."""
    step = 32  # large enough that handing a part over costs nothing
    return [(first + i, files[i : i + step]) for i in range(0, len(files), step)]
