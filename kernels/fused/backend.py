"""The `fused` backend: kernels on the CPU by loops that keep each displacement plane in cache."""

import functools
from collections.abc import Callable

import numpy as np

from stillhouse.kernels.fused.network import Network
from stillhouse.kernels.fused.plan import unsupported_reason
from stillhouse.kernels.fused.refined import RefinedKernel
from stillhouse.kernels.fused.sides import OUT_OF_RANGE
from stillhouse.kernels.spec import KernelSpec
from stillhouse.kernels.threads import Workers


class FusedKernel(RefinedKernel):
    """A kernel computed by compiled loops over displacement planes, in float32.

    Results do not depend on the number of threads. Besides arguments and results a call needs some
    tens of megabytes for each thread, whatever the block. A global average behind pools needs the
    covariances of all pairs of pooled pixels: 18 MB for each thread in a vjp at 32 x 32, 286 MB at
    64 x 64, and the fourth power of the side in general. Near pairs, in float64, need twice as much
    besides.

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
        # Without convolutions everything is computed in float64 anyway.
        super().__init__(spec, threads=threads, refined=spec.architecture.is_convolutional)
        self._network: Callable[[tuple[int, ...]], Network]
        self._network = functools.lru_cache(maxsize=8)(functools.partial(Network, spec))

    def _block(self, x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
        if len(x1) > len(x2):  # the larger side belongs into the lanes
            return np.ascontiguousarray(self._block(x2, x1).T)
        network = self._network(x1.shape[1:])
        result = np.empty((len(x1), len(x2)), np.float32)
        with Workers(self._threads) as workers:
            for rows, first in network.panels(x1, workers):
                for columns, second in network.panels(x2, workers):
                    result[rows, columns] = network.pairs(first, second, workers)
        return _finite(result)

    def _vjp(
        self, x1: np.ndarray, x2: np.ndarray, weights: np.ndarray, wrt: tuple[int, ...]
    ) -> tuple[np.ndarray, ...]:
        if len(x1) > len(x2):
            return self._vjp(x2, x1, weights.T, tuple(1 - i for i in wrt))
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

    def _gram(self, x: np.ndarray) -> np.ndarray:
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

    def _gram_vjp(self, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
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
        raise FloatingPointError(OUT_OF_RANGE)
    return result
