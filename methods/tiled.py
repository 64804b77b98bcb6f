"""Kernel matrices and their derivatives in tiles, whoever computes them."""

import numpy as np

from stillhouse.kernels.spec import KernelSpec
from stillhouse.kernels.tiling import Tile, cross_tiles, gram_tiles, plan_tiles, tile_elements
from stillhouse.methods.tasks import Task, TaskRunner

_FORWARD = {"gram": "gram", "cross": "block"}


class TiledComputer:
    """A `KernelComputer` that cuts its work into tasks, and puts their results together.

    The tiles are those of `stillhouse.kernels.tiling`, whoever computes them; partial gradients are
    added in float64, in the order of the tiles, and rounded to float32 once at the end. So the bits
    are those of the tasks. Memory is that of the results and of what the runner holds.

    Args:
        runner: computes the tasks.

    Attributes:
        elements: the kernel elements computed so far; the backward pass counts like a forward one.
    """

    def __init__(self, runner: TaskRunner) -> None:
        self.elements = 0
        self._runner = runner

    def forward(
        self, spec: KernelSpec, x_s: np.ndarray, x_t: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return K_ss `[s, s]` and K_ts `[t, s]`, float32.

        Raises:
            ValueError: if the images are not `[n, h, w, c]` of one size, or too small.
        """
        x_s, x_t = _same_size(spec, x_s, x_t)
        tiles = plan_tiles(len(x_s), len(x_t), elements=_elements(spec, x_s))
        matrices = self._matrices(spec, tiles, x_s, x_t)
        return matrices["ss"], matrices["ts"]

    def gram(self, spec: KernelSpec, x: np.ndarray) -> np.ndarray:
        """Return the symmetric kernel of `x` with itself, float32 `[n, n]`.

        Raises:
            ValueError: if the images are not `[n, h, w, c]`, or too small.
        """
        (x,) = _same_size(spec, x)
        tiles = gram_tiles(len(x), elements=_elements(spec, x))
        return self._matrices(spec, tiles, x, x[:0])["ss"]

    def cross(self, spec: KernelSpec, x: np.ndarray, x_s: np.ndarray) -> np.ndarray:
        """Return the kernel of `x` with `x_s`, float32 `[n, s]`.

        Raises:
            ValueError: if the images are not `[n, h, w, c]` of one size, or too small.
        """
        x, x_s = _same_size(spec, x, x_s)
        tiles = cross_tiles(len(x), len(x_s), elements=_elements(spec, x))
        return self._matrices(spec, tiles, x_s, x)["ts"]

    def backward(
        self,
        spec: KernelSpec,
        x_s: np.ndarray,
        x_t: np.ndarray,
        g_ss: np.ndarray,
        g_ts: np.ndarray,
    ) -> np.ndarray:
        """Return dL/dx_s, float32 `[s, h, w, c]`, from dL/dK_ss and dL/dK_ts.

        Raises:
            ValueError: if shapes do not agree, or the images are too small.
        """
        x_s, x_t = _same_size(spec, x_s, x_t)
        s, t = len(x_s), len(x_t)
        for name, g, shape in (("g_ss", g_ss, (s, s)), ("g_ts", g_ts, (t, s))):
            if np.shape(g) != shape:
                raise ValueError(f"`{name}` must be {list(shape)}, got shape {np.shape(g)}")
        g_ss, g_ts = np.asarray(g_ss, np.float32), np.asarray(g_ts, np.float32)
        tiles = plan_tiles(s, t, elements=_elements(spec, x_s))
        tasks = [_backward_task(spec, tile, x_s, x_t, g_ss, g_ts) for tile in tiles]
        total = np.zeros(x_s.shape, np.float64)
        for tile, parts in zip(tiles, self._runner.results(tasks), strict=True):
            for (start, stop), part in zip(_support_spans(tile), parts, strict=True):
                total[start:stop] += part
            self.elements += tile.elements
        return total.astype(np.float32)

    def _matrices(
        self, spec: KernelSpec, tiles: tuple[Tile, ...], x_s: np.ndarray, x_t: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return K_ss and K_ts, as far as there are tiles of them."""
        s, t = len(x_s), len(x_t)
        matrices = {"ss": np.empty((s, s), np.float32), "ts": np.empty((t, s), np.float32)}
        tasks = [Task(_FORWARD[tile.kind], spec, _images(tile, x_s, x_t)) for tile in tiles]
        for tile, (block,) in zip(tiles, self._runner.results(tasks), strict=True):
            rows, cols = slice(*tile.rows), slice(*tile.cols)
            matrices[tile.matrix][rows, cols] = block
            if tile.matrix == "ss" and tile.kind == "cross":
                matrices["ss"][cols, rows] = block.T
            self.elements += tile.elements
        return matrices


def _backward_task(
    spec: KernelSpec,
    tile: Tile,
    x_s: np.ndarray,
    x_t: np.ndarray,
    g_ss: np.ndarray,
    g_ts: np.ndarray,
) -> Task:
    rows, cols = slice(*tile.rows), slice(*tile.cols)
    images = _images(tile, x_s, x_t)
    if tile.kind == "gram":
        return Task("gram_vjp", spec, images, g_ss[rows, rows])
    if tile.matrix == "ts":
        return Task("block_vjp", spec, images, g_ts[rows, cols], (1,))
    # The tile below the diagonal has the same elements, and hence the same derivative.
    return Task("block_vjp", spec, images, g_ss[rows, cols] + g_ss[cols, rows].T, (0, 1))


def _images(tile: Tile, x_s: np.ndarray, x_t: np.ndarray) -> tuple[np.ndarray, ...]:
    if tile.kind == "gram":
        return (x_s[slice(*tile.rows)],)
    return (x_t if tile.matrix == "ts" else x_s)[slice(*tile.rows)], x_s[slice(*tile.cols)]


def _support_spans(tile: Tile) -> tuple[tuple[int, int], ...]:
    """Return which support images the results of the backward task are for."""
    if tile.matrix == "ts":
        return (tile.cols,)
    return (tile.rows,) if tile.kind == "gram" else (tile.rows, tile.cols)


def _elements(spec: KernelSpec, x: np.ndarray) -> int:
    _, h, w, c = x.shape
    return tile_elements(spec, (h, w, c))


def _same_size(spec: KernelSpec, *images: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the images as float32, having checked that they make a kernel."""
    for x in images:
        if np.ndim(x) != 4 or not np.size(x):
            raise ValueError(f"images must be [n, h, w, c], got an array of shape {np.shape(x)}")
        if x.shape[1:] != images[0].shape[1:]:
            raise ValueError(
                "both sets of images must be of one height, width and channels, got "
                f"{images[0].shape[1:]} and {x.shape[1:]}"
            )
    spec.architecture.check_image(images[0].shape[1], images[0].shape[2])
    return tuple(np.asarray(x, np.float32) for x in images)
