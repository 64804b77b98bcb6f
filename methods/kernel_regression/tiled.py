"""Kernel matrices and their derivatives in tiles, whoever computes them."""

import math
from collections.abc import Iterable

import numpy as np

from stillhouse.data.pixel_images import Images, PixelImages
from stillhouse.kernels.spec import KernelSpec
from stillhouse.kernels.tiling import Tile, tiles_of_step, tiles_of_targets
from stillhouse.methods.programs import (
    ArrayType,
    KernelBlock,
    KernelBlockVjp,
    KernelGram,
    KernelGramVjp,
    Program,
)
from stillhouse.methods.tasks import Outline, Task, TaskRunner


class TiledComputer:
    """A `KernelComputer` that cuts its work into tasks, and puts their results together.

    The tiles are those of `stillhouse.kernels.tiling`, whoever computes them; partial gradients are
    added in float64, in the order of the tiles, and rounded to float32 once at the end. So the bits
    are those of the tasks. Memory is that of the results and of what the runner holds.

    Args:
        runner: computes the tasks.
        tile_elements: about how many kernel elements a tile is to hold, where that is not left to
            the kernel; the bits of a sum go with it.

    Attributes:
        elements: the kernel elements computed so far; the backward pass counts like a forward one.
    """

    def __init__(self, runner: TaskRunner, tile_elements: int | None = None) -> None:
        self.elements = 0
        self._runner = runner
        self._asked = tile_elements

    def forward(
        self, spec: KernelSpec, x_s: np.ndarray, x_t: Images
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return K_ss `[s, s]` and K_ts `[t, s]`, float32.

        Raises:
            ValueError: if the images are not `[n, h, w, c]` of one size, or too small.
        """
        s, t = _same_size(spec, x_s, x_t)
        tiles = tiles_of_step(spec, _shape(s), len(s), len(t), asked=self._asked)
        matrices = self._matrices(spec, tiles, s, t)
        return matrices["ss"], matrices["ts"]

    def gram(self, spec: KernelSpec, x: np.ndarray) -> np.ndarray:
        """Return the symmetric kernel of `x` with itself, float32 `[n, n]`.

        Raises:
            ValueError: if the images are not `[n, h, w, c]`, or too small.
        """
        (images,) = _same_size(spec, x)
        tiles = tiles_of_step(spec, _shape(images), len(images), 0, asked=self._asked)
        return self._matrices(spec, tiles, images, images[:0])["ss"]

    def cross(self, spec: KernelSpec, x: Images, x_s: np.ndarray) -> np.ndarray:
        """Return the kernel of `x` with `x_s`, float32 `[n, s]`.

        Raises:
            ValueError: if the images are not `[n, h, w, c]` of one size, or too small.
        """
        t, s = _same_size(spec, x, x_s)
        tiles = tiles_of_targets(spec, _shape(t), len(s), len(t), asked=self._asked)
        return self._matrices(spec, tiles, s, t)["ts"]

    def backward(
        self,
        spec: KernelSpec,
        x_s: np.ndarray,
        x_t: Images,
        g_ss: np.ndarray,
        g_ts: np.ndarray,
    ) -> np.ndarray:
        """Return dL/dx_s, float32 `[s, h, w, c]`, from dL/dK_ss and dL/dK_ts.

        Raises:
            ValueError: if shapes do not agree, or the images are too small.
        """
        support, targets = _same_size(spec, x_s, x_t)
        s, t = len(support), len(targets)
        for name, g, shape in (("g_ss", g_ss, (s, s)), ("g_ts", g_ts, (t, s))):
            if np.shape(g) != shape:
                raise ValueError(f"`{name}` must be {list(shape)}, got shape {np.shape(g)}")
        g_ss, g_ts = np.asarray(g_ss, np.float32), np.asarray(g_ts, np.float32)
        tiles = tiles_of_step(spec, _shape(support), s, t, asked=self._asked)
        tasks = [_backward_task(spec, tile, support, targets, g_ss, g_ts) for tile in tiles]
        total = np.zeros(support.shape, np.float64)
        for tile, parts in zip(tiles, self._runner.results(tasks), strict=True):
            for (start, stop), part in zip(_support_spans(tile), parts, strict=True):
                total[start:stop] += part
            self.elements += tile.elements
        return total.astype(np.float32)

    def _matrices(
        self, spec: KernelSpec, tiles: tuple[Tile, ...], x_s: Images, x_t: Images
    ) -> dict[str, np.ndarray]:
        """Return K_ss and K_ts, as far as there are tiles of them."""
        s, t = len(x_s), len(x_t)
        matrices = {"ss": np.empty((s, s), np.float32), "ts": np.empty((t, s), np.float32)}
        tasks = [Task(_forward(spec, tile), _images(tile, x_s, x_t)) for tile in tiles]
        for tile, (block,) in zip(tiles, self._runner.results(tasks), strict=True):
            rows, cols = slice(*tile.rows), slice(*tile.cols)
            matrices[tile.matrix][rows, cols] = block
            if tile.matrix == "ss" and tile.kind == "cross":
                matrices["ss"][cols, rows] = block.T
            self.elements += tile.elements
        return matrices


def outline_step(
    spec: KernelSpec,
    tiles: Iterable[Tile],
    image_shape: tuple[int, int, int],
    target_bytes: int = 4,
) -> tuple[list[Outline], list[Outline]]:
    """Return the tasks of the two passes of a step before there are any images.

    Args:
        spec: the kernel.
        tiles: of K_ss and K_ts.
        image_shape: height, width and channels of an image.
        target_bytes: of a value of a target image, as it travels.
    """
    forward, backward = [], []
    of_target = target_bytes * math.prod(image_shape)
    for tile in tiles:
        n1, n2 = tile.rows[1] - tile.rows[0], tile.cols[1] - tile.cols[0]
        rows = f"{tile.matrix[0]}{tile.rows}"
        images = {rows: ArrayType((n1, *image_shape))}
        coded = {rows: n1 * of_target} if tile.matrix == "ts" else {}
        if tile.kind == "cross":
            images[f"s{tile.cols}"] = ArrayType((n2, *image_shape))
        forward.append(Outline(_forward(spec, tile), images, coded=coded))
        backward.append(Outline(_backward(spec, tile), images, (ArrayType((n1, n2)),), coded))
    return forward, backward


def _forward(spec: KernelSpec, tile: Tile) -> Program:
    return KernelGram(spec) if tile.kind == "gram" else KernelBlock(spec)


def _backward(spec: KernelSpec, tile: Tile) -> Program:
    if tile.kind == "gram":
        return KernelGramVjp(spec)
    # Of K_ts, only the support images have a derivative.
    return KernelBlockVjp(spec, (1,) if tile.matrix == "ts" else (0, 1))


def _backward_task(
    spec: KernelSpec,
    tile: Tile,
    x_s: Images,
    x_t: Images,
    g_ss: np.ndarray,
    g_ts: np.ndarray,
) -> Task:
    rows, cols = slice(*tile.rows), slice(*tile.cols)
    g = (g_ts if tile.matrix == "ts" else g_ss)[rows, cols]
    if tile.matrix == "ss" and tile.kind == "cross":
        # The tile below the diagonal has the same elements, and hence the same derivative.
        g = g + g_ss[cols, rows].T
    return Task(_backward(spec, tile), _images(tile, x_s, x_t), (g,))


def _images(tile: Tile, x_s: Images, x_t: Images) -> tuple[Images, ...]:
    if tile.kind == "gram":
        return (x_s[slice(*tile.rows)],)
    return (x_t if tile.matrix == "ts" else x_s)[slice(*tile.rows)], x_s[slice(*tile.cols)]


def _support_spans(tile: Tile) -> tuple[tuple[int, int], ...]:
    """Return which support images the results of the backward task are for."""
    if tile.matrix == "ts":
        return (tile.cols,)
    return (tile.rows,) if tile.kind == "gram" else (tile.rows, tile.cols)


def _shape(x: Images) -> tuple[int, int, int]:
    _, h, w, c = x.shape
    return h, w, c


def _same_size(spec: KernelSpec, *images: Images) -> tuple[Images, ...]:
    """Return the images as float32, or as pixels, having checked that they make a kernel."""
    images = tuple(x if isinstance(x, PixelImages) else np.asarray(x, np.float32) for x in images)
    for x in images:
        if len(x.shape) != 4 or not math.prod(x.shape):
            raise ValueError(f"images must be [n, h, w, c], got an array of shape {x.shape}")
        if x.shape[1:] != images[0].shape[1:]:
            raise ValueError(
                "both sets of images must be of one height, width and channels, got "
                f"{images[0].shape[1:]} and {x.shape[1:]}"
            )
    spec.architecture.check_image(images[0].shape[1], images[0].shape[2])
    return images
