"""Kernels computed in this process."""

from collections.abc import Mapping

import numpy as np

from stillhouse.kernels.kernel import Kernel, kernel
from stillhouse.kernels.spec import KernelSpec
from stillhouse.kernels.tiling import Tile, cross_tiles, gram_tiles, plan_tiles, tile_elements


class LocalComputer:
    """A `KernelComputer` that computes one tile after another in this process.

    Memory is that of the results and of one tile. Partial gradients are added in float64, in the
    order of the tiles, and rounded to float32 once at the end.

    Args:
        backend: the name of the kernels' backend, see `stillhouse.kernels.kernel`.
        threads: how many threads a kernel may use; None for its default.
        kernels: kernels of your own, each to be used for its spec in place of the backend's.

    Attributes:
        elements: the kernel elements computed so far; the backward pass counts like a forward one.
    """

    def __init__(
        self,
        backend: str = "auto",
        threads: int | None = None,
        *,
        kernels: Mapping[KernelSpec, Kernel] | None = None,
    ) -> None:
        self.backend = backend
        self.threads = threads
        self.elements = 0
        self._kernels: dict[KernelSpec, Kernel] = dict(kernels or {})

    def kernel(self, spec: KernelSpec) -> Kernel:
        """Return the kernel that computes `spec`, the same object each time.

        Raises:
            ValueError: if the backend is unknown, not installed, or has no such kernel.
        """
        if spec not in self._kernels:
            self._kernels[spec] = kernel(spec, backend=self.backend, threads=self.threads)
        return self._kernels[spec]

    def forward(
        self, spec: KernelSpec, x_s: np.ndarray, x_t: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return K_ss `[s, s]` and K_ts `[t, s]`, float32.

        Raises:
            ValueError: if the images are not `[n, h, w, c]` of one size, or too small.
        """
        return self.gram(spec, x_s), self.cross(spec, x_t, x_s)

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
        total = np.zeros(x_s.shape, np.float64)
        for tile in plan_tiles(s, t, elements=_elements(spec, x_s)):
            for (start, stop), part in self._tile_gradients(spec, tile, x_s, x_t, g_ss, g_ts):
                total[start:stop] += part
            self.elements += tile.elements
        return total.astype(np.float32)

    def gram(self, spec: KernelSpec, x: np.ndarray) -> np.ndarray:
        """Return the symmetric kernel of `x` with itself, float32 `[n, n]`.

        Raises:
            ValueError: if the images are not `[n, h, w, c]`, or too small.
        """
        (x,) = _same_size(spec, x)
        result = np.empty((len(x), len(x)), np.float32)
        for tile in gram_tiles(len(x), elements=_elements(spec, x)):
            rows, cols = slice(*tile.rows), slice(*tile.cols)
            if tile.kind == "gram":
                result[rows, rows] = self.kernel(spec).gram(x[rows])
            else:
                block = self.kernel(spec).block(x[rows], x[cols])
                result[rows, cols], result[cols, rows] = block, block.T
            self.elements += tile.elements
        return result

    def cross(self, spec: KernelSpec, x: np.ndarray, x_s: np.ndarray) -> np.ndarray:
        """Return the kernel of `x` with `x_s`, float32 `[n, s]`.

        Raises:
            ValueError: if the images are not `[n, h, w, c]` of one size, or too small.
        """
        x, x_s = _same_size(spec, x, x_s)
        result = np.empty((len(x), len(x_s)), np.float32)
        for tile in cross_tiles(len(x), len(x_s), elements=_elements(spec, x)):
            rows, cols = slice(*tile.rows), slice(*tile.cols)
            result[rows, cols] = self.kernel(spec).block(x[rows], x_s[cols])
            self.elements += tile.elements
        return result

    def _tile_gradients(
        self,
        spec: KernelSpec,
        tile: Tile,
        x_s: np.ndarray,
        x_t: np.ndarray,
        g_ss: np.ndarray,
        g_ts: np.ndarray,
    ) -> list[tuple[tuple[int, int], np.ndarray]]:
        """Return the gradients of a tile, each with the support images that it is for."""
        rows, cols = slice(*tile.rows), slice(*tile.cols)
        if tile.matrix == "ts":
            cotangent = g_ts[rows, cols]
            (part,) = self.kernel(spec).vjp(x_t[rows], x_s[cols], cotangent, wrt=(1,))
            return [(tile.cols, part)]
        if tile.kind == "gram":
            return [(tile.rows, self.kernel(spec).gram_vjp(x_s[rows], g_ss[rows, rows]))]
        # The tile below the diagonal has the same elements, and hence the same derivative.
        cotangent = g_ss[rows, cols] + g_ss[cols, rows].T
        parts = self.kernel(spec).vjp(x_s[rows], x_s[cols], cotangent, wrt=(0, 1))
        return [(tile.rows, parts[0]), (tile.cols, parts[1])]


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
