"""The `fused` backend: kernels on the CPU by loops that keep each displacement plane in cache."""

import functools

import numpy as np

from stillhouse.kernels.fused.network import Network
from stillhouse.kernels.fused.plan import unsupported_reason
from stillhouse.kernels.inputs import checked_cotangent, checked_images, checked_pair, checked_wrt
from stillhouse.kernels.spec import KernelSpec
from stillhouse.kernels.threads import Workers, default_threads


class FusedKernel:
    """A kernel computed by compiled loops over displacement planes, in float32.

    Results do not depend on the number of threads. Besides arguments and results a call needs some
    tens of megabytes for each thread, whatever the block.

    Attributes:
        spec: the architecture and kind.
        backend: "fused".
    """

    backend = "fused"

    def __init__(self, spec: KernelSpec, threads: int | None = None) -> None:
        """Make the kernel; loops are compiled, or fetched from the cache, at the first block.

        Args:
            spec: the architecture and kind.
            threads: how many threads to use, by default one for each core.

        Raises:
            ValueError: if a layer is not supported, or `threads` is not positive.
        """
        reason = unsupported_reason(spec.architecture)
        if reason is not None:
            raise ValueError(
                f"the fused backend cannot compute {reason}; use backend='neural_tangents'"
            )
        if threads is not None and threads < 1:
            raise ValueError(f"`threads` must be at least 1, got {threads}")
        self.spec = spec
        self._threads = threads or default_threads()
        self._network = functools.lru_cache(maxsize=8)(functools.partial(Network, spec))

    def block(self, x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
        """Return K(x1, x2), `[n1, n2]`; see `Kernel.block`."""
        x1, x2 = self._checked(*checked_pair(x1, x2))
        if len(x1) > len(x2):  # the larger side belongs into the lanes
            return np.ascontiguousarray(self.block(x2, x1).T)
        network = self._network(x1.shape[1:])
        result = np.empty((len(x1), len(x2)), np.float32)
        with Workers(self._threads) as workers:
            for rows, first in network.panels(x1, workers):
                for columns, second in network.panels(x2, workers):
                    result[rows, columns] = network.pairs(first, second, workers)
        return _finite(result)

    def vjp(
        self,
        x1: np.ndarray,
        x2: np.ndarray,
        cotangent: np.ndarray,
        *,
        wrt: tuple[int, ...] = (0, 1),
    ) -> tuple[np.ndarray, ...]:
        """Return gradients of sum(cotangent * K(x1, x2)); see `Kernel.vjp`."""
        wrt = checked_wrt(wrt)
        x1, x2 = self._checked(*checked_pair(x1, x2))
        weights = checked_cotangent(cotangent, (len(x1), len(x2)), np.dtype(np.float32))
        if len(x1) > len(x2):
            return self.vjp(x2, x1, weights.T, wrt=tuple(1 - i for i in wrt))
        network = self._network(x1.shape[1:])
        result = {i: np.zeros_like(x) for i, x in enumerate((x1, x2)) if i in wrt}
        with Workers(self._threads) as workers:
            for rows, first in network.panels(x1, workers):
                row_gradient = network.gradient(first) if 0 in wrt else None
                for columns, second in network.panels(x2, workers):
                    gradients = row_gradient, network.gradient(second) if 1 in wrt else None
                    part = weights[rows, columns]
                    network.add_pairs_vjp(first, second, part, gradients, workers)
                    if gradients[1] is not None:
                        result[1][columns] += network.finish(second, gradients[1], workers)
                if row_gradient is not None:
                    result[0][rows] += network.finish(first, row_gradient, workers)
        return tuple(_finite(result[i]) for i in wrt)

    def gram(self, x: np.ndarray) -> np.ndarray:
        """Return K(x, x), `[n, n]`; see `Kernel.gram`. The diagonal is exact."""
        (x,) = self._checked(checked_images(x, "x"))
        network = self._network(x.shape[1:])
        result = np.empty((len(x), len(x)), np.float32)
        with Workers(self._threads) as workers:
            for rows, first in network.panels(x, workers, selves=True):
                above = np.triu(network.pairs(first, first, workers, upper=True), 1)
                result[rows, rows] = above + above.T + np.diag(network.selves(first))
                for columns, second in network.panels(x, workers, start=rows.stop):
                    part = network.pairs(first, second, workers)
                    result[rows, columns], result[columns, rows] = part, part.T
        return _finite(result)

    def gram_vjp(self, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """Return the gradient of sum(cotangent * K(x, x)); see `Kernel.gram_vjp`."""
        (x,) = self._checked(checked_images(x, "x"))
        weights = checked_cotangent(cotangent, (len(x), len(x)), np.dtype(np.float32))
        network = self._network(x.shape[1:])
        result = np.zeros_like(x)
        with Workers(self._threads) as workers:
            for rows, first in network.panels(x, workers, selves=True):
                gradient = network.gradient(first)
                own = weights[rows, rows]
                network.add_selves_vjp(np.diag(own), gradient)
                above, both = np.triu(own + own.T, 1), (gradient, gradient)
                network.add_pairs_vjp(first, first, above, both, workers, upper=True)
                for columns, second in network.panels(x, workers, start=rows.stop):
                    gradients = gradient, network.gradient(second)
                    part = weights[rows, columns] + weights[columns, rows].T
                    network.add_pairs_vjp(first, second, part, gradients, workers)
                    result[columns] += network.finish(second, gradients[1], workers)
                result[rows] += network.finish(first, gradient, workers)
        return _finite(result)

    def _checked(self, *inputs: np.ndarray) -> list[np.ndarray]:
        self.spec.architecture.check_image(*inputs[0].shape[1:3])
        return [x.astype(np.float32, copy=False) for x in inputs]


def _finite(result: np.ndarray) -> np.ndarray:
    if not np.isfinite(result).all():
        raise FloatingPointError(
            "the kernel of these images leaves the range of float32; scale their pixels, or the "
            "architecture's `W_std`, towards 1"
        )
    return result
