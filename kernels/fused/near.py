"""Which images float32 cannot tell apart well enough.

Behind a ReLU the tangent kernel of two nearly equal patches moves as the angle between them, the
root of 2 (1 - c); and its gradient as one over that. Float32 rounds 1 - c to 1e-7. So a pair of
images goes through float64 where

- as a whole its |c| is above 0.99: near-duplicates, and images that are small beside the biases;
- or 1 / (1 - |c|) is large in some of its patches: they share a background, say, but for a little
  noise. Rounding is in each patch as large as this, but of either sign: so the root of the sum of
  its squares, over the number of patches, says what comes of it, and 2500 is 5e-4 of the gradient.
  Patches that are exactly equal are no trouble and do not count;
- or its mean square, biases included, is below 1e-14: float32 cannot hold the square of that.

An image with itself goes through float64 where the same holds of it and itself moved by a patch.

c is that of the image with all biases on the way, as if they were added to it: so it is never less
than what the first ReLU meets.
"""

import functools
from typing import NamedTuple

import numpy as np

from stillhouse.kernels.architecture import Architecture, Conv, Dense, Relu
from stillhouse.kernels.fused.compile_cache import CachedLoop
from stillhouse.kernels.fused.lane_arrays import in_lanes
from stillhouse.kernels.fused.lanes import (
    LANES,
    lane_zeros,
    larger,
    load,
    rows,
    smaller,
    square_root,
    store,
    where_positive,
)
from stillhouse.kernels.fused.rows import ZERO, clear
from stillhouse.kernels.threads import Workers

_WHOLE_GAP = np.float32(2 * 0.01)  # twice the least 1 - |c| of the whole
_LARGEST = np.float32(2500)  # root of the sum of squares of 1 / (1 - |c|), over the patches' number
_SMALLEST = np.float32(1e-14)  # the least mean square
_PANEL = 512  # images laid out at a time
_TWO, _FOUR = map(np.float32, (2, 4))
_ROUNDING = np.float32(1e-7)


class _Laid(NamedTuple):
    """Some images, or those of a group as lanes.

    Attributes:
        pixels: `[n, h w c]`.
        roots: the root of the power of the patch around each pixel, `[n, h w]`.
        whole: the root of the sum of these powers, `[n, 1]`.
    """

    pixels: np.ndarray
    roots: np.ndarray
    whole: np.ndarray


class _Shape(NamedTuple):
    """Of an image, and of the patch around a pixel that the first filter sees."""

    height: int
    width: int
    channels: int
    down: int
    across: int


class NearImages:
    """Finds the pairs of images that need float64, for one architecture."""

    def __init__(self, architecture: Architecture) -> None:
        """Add up the biases, as they would stand beside the images' mean square."""
        self._bias = 0.0
        gain, waiting = 1.0, 0.0
        for layer in architecture.layers:
            if isinstance(layer, Conv | Dense):
                gain *= layer.W_std**2
                waiting += layer.b_std**2 / gain
            elif isinstance(layer, Relu):
                self._bias, waiting, gain = self._bias + waiting, 0.0, gain / 2
        filters = [layer.window for layer in architecture.layers if isinstance(layer, Conv)]
        self._window = filters[0] if filters else None

    def pairs(
        self, x1: np.ndarray, x2: np.ndarray, workers: Workers, *, upper: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices i and j of the pairs, sorted; i < j alone if `upper`."""
        shape = self._shape(x1)
        found = [np.zeros((2, 0), np.int64)]
        for first in range(0, len(x1), _PANEL):
            one = self._laid_out(x1[first : first + _PANEL])
            for start in range(first if upper else 0, len(x2), _PANEL):
                other = self._laid_out(x2[start : start + _PANEL])
                scores = functools.partial(_scores, shape, one, other)
                groups = range(0, len(other.roots), LANES)
                near = np.concatenate(list(workers.in_order(scores, groups)), axis=1) > 1
                i, j = np.nonzero(near)
                found.append(np.stack([i + first, j + start]))
        i, j = np.concatenate(found, axis=1)
        if upper:
            i, j = i[i < j], j[i < j]
        order = np.lexsort((j, i))
        return i[order], j[order]

    def selves(self, x: np.ndarray) -> np.ndarray:
        """Return whether each image needs float64 with itself, `[n]`."""
        result = np.zeros(len(x), bool)
        if self._window is None:
            return result
        for start in range(0, len(x), _PANEL):
            part = slice(start, start + _PANEL)
            some = x[part].astype(np.float64)
            down = some[:, 1:], some[:, :-1]
            across = some[:, :, 1:], some[:, :, :-1]
            scores = [self._score_of_neighbours(*both) for both in (down, across)]
            result[part] = np.maximum(*scores) > 1
        return result

    def _score_of_neighbours(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """`_score` of images with themselves, moved by a pixel."""
        if not a.size:
            return np.zeros(len(a))
        distance = self._patches(np.square(a - b).sum(axis=3))
        power = self._power(a) + self._power(b)
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = power / np.maximum(distance, _ROUNDING * power)
            squares = np.square(np.where(distance * power > 0, inverse, 0)).sum(axis=(1, 2))
            patches = np.sqrt(squares) / (_LARGEST * distance[0].size)
            whole = power.sum(axis=(1, 2)) / distance.sum(axis=(1, 2)) * _WHOLE_GAP / 2
        return np.fmax(patches, np.where(distance.any(axis=(1, 2)), whole, 0))

    def _shape(self, x: np.ndarray) -> _Shape:
        _, h, w, c = x.shape
        return (
            _Shape(1, 1, h * w * c, 1, 1)
            if self._window is None
            else _Shape(h, w, c, *self._window)
        )

    def _laid_out(self, x: np.ndarray) -> _Laid:
        pixels = x.astype(np.float32, copy=False).reshape(len(x), -1)
        shape = self._shape(x)
        power = self._power(pixels.reshape(len(x), shape.height, shape.width, shape.channels))
        power = power.reshape(len(x), -1)
        return _Laid(pixels, np.sqrt(power), np.sqrt(power.sum(axis=1, keepdims=True)))

    def _power(self, x: np.ndarray) -> np.ndarray:
        """Return the power of the patch around each pixel with the biases', `[n, h, w]`."""
        values = x.shape[3] * (1 if self._window is None else self._window[0] * self._window[1])
        return self._patches(np.square(x).sum(axis=3)) + x.dtype.type(self._bias * values)

    def _patches(self, x: np.ndarray) -> np.ndarray:
        """Return the sums over the patch around each pixel of `[n, h, w]`, zeros outside."""
        for axis, side in enumerate(self._window or (1, 1), start=1):
            pad = [(side // 2, side // 2) if i == axis else (0, 0) for i in range(3)]
            windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, pad), side, axis)
            x = windows.sum(axis=3)
        return x


def _scores(shape: _Shape, x: _Laid, y: _Laid, start: int) -> np.ndarray:
    """Return the scores of all x with the up to sixteen y from `start` on."""
    group = _Laid(*(array[start : start + LANES] for array in y))
    scores = lane_zeros(len(x.roots))
    down, across = shape.down // 2 * 2, shape.across // 2 * 2
    work = lane_zeros(shape.width + across + (shape.height + down) * shape.width)
    _score(shape, x, _Laid(*map(in_lanes, group)), work, scores)
    return scores[:, : len(group.roots)]


@CachedLoop
def _score(shape, x, y, work, scores):  # type: ignore[no-untyped-def]
    """Write how near each image of x is to those in the lanes of y; more than 1 is too near.

    For the powers A and B of two patches and their distance D^2, 2 sqrt(A B) (1 - c) is
    D^2 - (sqrt A - sqrt B)^2, and 1 + c is what is left to 2.
    """
    height, width = shape.height, shape.width
    half_i, half_j = shape.down // 2, shape.across // 2
    wide = width + 2 * half_j
    # Distances of pixels, zeros on both sides; and their sums along rows, zeros above and below.
    bare_work, sums = rows(work), wide
    clear(bare_work, 0, wide + (height + 2 * half_i) * width)
    pixels, roots, whole = rows(y.pixels), rows(y.roots), rows(y.whole)
    for a in range(x.pixels.shape[0]):
        bare_x, own_roots, own_whole = rows(x.pixels[a]), rows(x.roots[a]), rows(x.whole[a])
        for i in range(height):
            for j in range(width):
                first = (i * width + j) * shape.channels
                difference = load(bare_x, first) - load(pixels, first)
                distance = difference * difference
                for k in range(first + 1, first + shape.channels):
                    difference = load(bare_x, k) - load(pixels, k)
                    distance = distance + difference * difference
                store(bare_work, half_j + j, distance)
            for j in range(width):
                total = load(bare_work, j)
                for b in range(1, shape.across):
                    total = total + load(bare_work, j + b)
                store(bare_work, sums + (i + half_i) * width + j, total)
        distances = load(whole, 0) * ZERO
        squares = distances
        for i in range(height):
            for j in range(width):
                distance = load(bare_work, sums + i * width + j)
                for b in range(1, shape.down):
                    distance = distance + load(bare_work, sums + (i + b) * width + j)
                one, other = load(own_roots, i * width + j), load(roots, i * width + j)
                power, apart = one * other, one - other
                gap = distance - apart * apart
                gap = larger(smaller(gap, power * _FOUR - gap), power * _ROUNDING)
                inverse = where_positive(distance * power, power * _TWO / gap, ZERO)
                squares = squares + inverse * inverse
                distances = distances + distance
        one, other = load(own_whole, 0), load(whole, 0)
        power, apart = one * other, one - other
        gap = distances - apart * apart
        gap = smaller(gap, power * _FOUR - gap)
        near = where_positive(power * _WHOLE_GAP - gap, _TWO, ZERO)
        values = np.float32(height * width * shape.channels * shape.down * shape.across)
        near = larger(near, where_positive(_SMALLEST * values - power, _TWO, ZERO))
        patches = square_root(squares) / (_LARGEST * np.float32(height * width))
        store(rows(scores), a, larger(near, patches))
