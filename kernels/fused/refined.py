"""A kernel in float32 of which the pairs that need it are computed in float64.

Few pairs do: see `near` for which, and `fused.listed` for how. They are computed on the CPU
whatever the device, and take the place of what the backend itself has made of them.
"""

import abc
import functools

import numpy as np

from stillhouse.kernels.fused.listed import ListedPairs
from stillhouse.kernels.fused.near import NearImages
from stillhouse.kernels.inputs import checked_cotangent, checked_images, checked_pair, checked_wrt
from stillhouse.kernels.spec import KernelSpec
from stillhouse.kernels.threads import Workers, default_threads


class RefinedKernel(abc.ABC):
    """What the backends in float32 have in common: the checks of arguments, and near pairs.

    A backend gives `_block`, `_vjp`, `_gram` and `_gram_vjp`, which may be wrong for near pairs but
    must be finite there. Arrays that are not float32 are left to it alone.

    Attributes:
        spec: the architecture and kind.
    """

    def __init__(self, spec: KernelSpec, *, threads: int | None, refined: bool = True) -> None:
        """Make the kernel.

        Args:
            spec: the architecture and kind.
            threads: how many threads to use, by default one for each core.
            refined: whether near pairs need float64.
        """
        if threads is not None and threads < 1:
            raise ValueError(f"`threads` must be at least 1, got {threads}")
        self.spec = spec
        self._threads = threads or default_threads()
        self._refined = refined
        self._near = NearImages(spec.architecture)
        self._listed = functools.lru_cache(maxsize=8)(functools.partial(ListedPairs, spec))

    def block(self, x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
        """Return K(x1, x2), `[n1, n2]`; see `Kernel.block`."""
        x1, x2 = self._checked(*checked_pair(x1, x2))
        result = self._block(x1, x2)
        with Workers(self._threads) as workers:
            i, j = self._near_pairs(x1, x2, workers)
            if len(i):
                result[i, j] = self._listed(x1.shape[1:]).pairs(x1[i], x2[j], workers)
        return result

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
        weights = checked_cotangent(cotangent, (len(x1), len(x2)), x1.dtype)
        with Workers(self._threads) as workers:
            i, j = self._near_pairs(x1, x2, workers)
            refined = weights[i, j]
            gradients = self._vjp(x1, x2, _without(weights, i, j), wrt)
            if len(i):
                both = self._add_pairs_vjp(x1, x2, (i, j), refined, workers)
                gradients = tuple(
                    (gradient + both[k]).astype(x1.dtype)
                    for k, gradient in zip(wrt, gradients, strict=True)
                )
        return gradients

    def gram(self, x: np.ndarray) -> np.ndarray:
        """Return K(x, x), `[n, n]`; see `Kernel.gram`. The diagonal is exact."""
        (x,) = self._checked(checked_images(x, "x"))
        result = self._gram(x)
        with Workers(self._threads) as workers:
            i, j, own = self._near_of_gram(x, workers)
            if len(i):
                pairs = self._listed(x.shape[1:]).pairs(x[i], x[j], workers)
                result[i, j] = result[j, i] = pairs
            if len(own):
                result[own, own] = self._listed(x.shape[1:]).selves(x[own], workers)
        return result

    def gram_vjp(self, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """Return the gradient of sum(cotangent * K(x, x)); see `Kernel.gram_vjp`."""
        (x,) = self._checked(checked_images(x, "x"))
        weights = checked_cotangent(cotangent, (len(x), len(x)), x.dtype)
        with Workers(self._threads) as workers:
            i, j, own = self._near_of_gram(x, workers)
            refined = weights[i, j].astype(np.float64) + weights[j, i]
            diagonal = weights[own, own]
            rest = _without(_without(_without(weights, i, j), j, i), own, own)
            gradient = self._gram_vjp(x, rest)
            if len(i):
                both = self._add_pairs_vjp(x, x, (i, j), refined, workers)
                gradient = (gradient + both[0] + both[1]).astype(x.dtype)
            if len(own):
                gradient[own] += self._listed(x.shape[1:]).selves_vjp(x[own], diagonal, workers)
        return gradient

    def _near_pairs(
        self, x1: np.ndarray, x2: np.ndarray, workers: Workers, *, upper: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        if not self._refined or x1.dtype != np.float32:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        return self._near.pairs(x1, x2, workers, upper=upper)

    def _near_of_gram(
        self, x: np.ndarray, workers: Workers
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the near pairs i < j, and the images whose diagonal is to go with them.

        Those are the images of the pairs too: so a matrix of near-duplicates, whose entries differ
        in the last digits alone, has all of them from one computation.
        """
        i, j = self._near_pairs(x, x, workers, upper=True)
        if not self._refined or x.dtype != np.float32:
            return i, j, i
        return i, j, np.union1d(np.union1d(i, j), np.flatnonzero(self._near.selves(x)))

    def _add_pairs_vjp(
        self,
        x1: np.ndarray,
        x2: np.ndarray,
        pairs: tuple[np.ndarray, np.ndarray],
        cotangent: np.ndarray,
        workers: Workers,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what the pairs add to the gradients of both sides, in float64."""
        (i, j), both = pairs, (np.zeros(x1.shape), np.zeros(x2.shape))
        listed = self._listed(x1.shape[1:])
        for start in range(0, len(i), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            first, second = x1[i[some]], x2[j[some]]
            for part, *grads in listed.pairs_vjp(first, second, cotangent[some], workers):
                np.add.at(both[0], i[some][part], grads[0])
                np.add.at(both[1], j[some][part], grads[1])
        return both

    @abc.abstractmethod
    def _checked(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Return images in the dtype to compute in; raise ValueError if they are too small."""

    @abc.abstractmethod
    def _block(self, x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
        """Return K(x1, x2), an array of the caller's own."""

    @abc.abstractmethod
    def _vjp(
        self, x1: np.ndarray, x2: np.ndarray, weights: np.ndarray, wrt: tuple[int, ...]
    ) -> tuple[np.ndarray, ...]:
        """Return the gradients of sum(weights * K(x1, x2))."""

    @abc.abstractmethod
    def _gram(self, x: np.ndarray) -> np.ndarray:
        """Return K(x, x), an array of the caller's own."""

    @abc.abstractmethod
    def _gram_vjp(self, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the gradient of sum(weights * K(x, x))."""


_AT_ONCE = 4096  # pairs whose images are copied at a time, so that memory stays bounded


def _without(weights: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Return weights that are 0 at the pairs."""
    if not len(i):
        return weights
    result = weights.copy()
    result[i, j] = 0
    return result
