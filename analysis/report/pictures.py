"""The images of a set as small PNGs, and its labels as bars."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from stillhouse.analysis.drawing import png_of

_MOST_SHOWN = 100
_MOST_PIXELS = 128  # of a side, on the page
_NAMED_IMAGES = 20
_NAMED_CLASSES = 20
_SHEET_SIDE = 48  # Smaller images are enlarged in a sheet.
_GAP = 2


@dataclasses.dataclass(frozen=True)
class Bar:
    """One entry of a label.

    Attributes:
        name: of the class.
        value: the entry.
        left: where the bar begins, in percent of the room.
        width: how long it is, in percent of the room.
        is_largest: whether it is the label's largest.
    """

    name: str
    value: float
    left: float
    width: float
    is_largest: bool


@dataclasses.dataclass(frozen=True)
class Cell:
    """An image on the page.

    Attributes:
        number: of the image in the set, from 1.
        title: the class where its label is largest.
        after: the image, as PNG.
        before: what the run started from, as PNG; None where that is not known.
        bars: its label.
        summary: its label in words.
    """

    number: int
    title: str
    after: bytes
    before: bytes | None
    bars: tuple[Bar, ...]
    summary: str


@dataclasses.dataclass(frozen=True)
class Gallery:
    """The images that the page shows.

    Attributes:
        cells: the images.
        total: how many the set has.
        named: whether every bar has its class's name beside it.
        zero: where the bars' zero is, in percent.
        shrunk: the largest side in pixels, if images are shown smaller than they are.
    """

    cells: tuple[Cell, ...]
    total: int
    named: bool
    zero: float
    shrunk: int | None


def gallery(
    after: np.ndarray, before: np.ndarray | None, labels: np.ndarray, names: Sequence[str]
) -> Gallery:
    """Return the images for the page: all of a small set, the first few of each class of a large.

    Args:
        after: pixels in 0..1, `[s, h, w]` or `[s, h, w, 3]`, as from `shown_pixels`.
        before: what the run started from, in the same form; None where that is not known.
        labels: `[s, k]`.
        names: of the k classes.
    """
    scale = max(float(np.abs(labels).max()), 1e-12)
    low = min(float(labels.min()) / scale, 0.0)
    high = max(float(labels.max()) / scale, 0.0)
    zero = 100 * -low / (high - low) if high > low else 0.0
    side = max(after.shape[1:3])
    chosen = shown_of_each_class(labels)

    def bars(label: np.ndarray) -> tuple[Bar, ...]:
        lengths = 100 * label.astype(np.float64) / scale / max(high - low, 1e-12)
        return tuple(
            Bar(
                name,
                float(value),
                round(zero + min(float(length), 0.0), 2),
                round(abs(float(length)), 2),
                j == int(label.argmax()),
            )
            for j, (name, value, length) in enumerate(zip(names, label, lengths, strict=True))
        )

    cells = [
        Cell(
            i + 1,
            names[int(labels[i].argmax())],
            png(_at_most(after[i], _MOST_PIXELS)),
            None if before is None else png(_at_most(before[i], _MOST_PIXELS)),
            bars(labels[i]),
            in_words(labels[i], names),
        )
        for i in chosen
    ]
    named = len(after) <= _NAMED_IMAGES and len(names) <= _NAMED_CLASSES
    return Gallery(
        tuple(cells), len(after), named, zero, _MOST_PIXELS if side > _MOST_PIXELS else None
    )


def shown_of_each_class(labels: np.ndarray) -> list[int]:
    """Return which images to show, in order: 100 at most, as many of each class as of any other."""
    if len(labels) <= _MOST_SHOWN:
        return list(range(len(labels)))
    largest, k = labels.argmax(axis=1), labels.shape[1]
    share = max(_MOST_SHOWN // k, 1)
    chosen = [np.flatnonzero(largest == c)[:share] for c in range(min(k, _MOST_SHOWN))]
    return sorted(int(i) for i in np.concatenate(chosen))


def in_words(label: np.ndarray, names: Sequence[str]) -> str:
    """Return the three largest entries of a label, such as `cat +0.62, dog +0.21, deer +0.03`."""
    order = np.argsort(-label, kind="stable")[:3]
    return ", ".join(f"{names[j]} {label[j]:+.2f}" for j in order)


def sheet(images: np.ndarray) -> bytes:
    """Return all images side by side as one PNG, about as wide as high.

    Args:
        images: pixels in 0..1, `[s, h, w]` or `[s, h, w, 3]`.
    """
    s, h, w = images.shape[:3]
    columns = math.ceil(math.sqrt(s * h / w))
    if s % 10 == 0 and s > 10:
        columns = 10 * max(round(columns / 10), 1)
    columns = min(columns, s)
    rows = math.ceil(s / columns)
    enlarged = max(_SHEET_SIDE // max(h, w), 1)
    h, w = h * enlarged, w * enlarged
    canvas = np.ones((rows * (h + _GAP) - _GAP, columns * (w + _GAP) - _GAP, *images.shape[3:]))
    for i, image in enumerate(images):
        top, left = i // columns * (h + _GAP), i % columns * (w + _GAP)
        large = image.repeat(enlarged, axis=0).repeat(enlarged, axis=1)
        canvas[top : top + h, left : left + w] = large
    return png(canvas)


def png(pixels: np.ndarray) -> bytes:
    """Return pixels in 0..1, `[h, w]` or `[h, w, 3]`, as a PNG."""
    return png_of(Image.fromarray(np.round(pixels * 255).astype(np.uint8)))


def _at_most(pixels: np.ndarray, side: int) -> np.ndarray:
    """Return an image whose sides have at most so many pixels, averaged where it is too large."""
    h, w = pixels.shape[:2]
    if max(h, w) <= side:
        return pixels
    share = side / max(h, w)
    size = (max(round(w * share), 1), max(round(h * share), 1))
    image = Image.fromarray(np.round(pixels * 255).astype(np.uint8))
    return np.asarray(image.resize(size, Image.Resampling.BOX), dtype=np.float64) / 255
