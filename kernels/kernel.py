"""What a kernel can do, and how to get one."""

import functools
import logging
from typing import Protocol

import numpy as np

from stillhouse.kernels.architecture import Architecture
from stillhouse.kernels.spec import KernelSpec

BACKENDS = ("auto", "fused", "cuda", "xla", "neural_tangents")

_LOGGER = logging.getLogger(__name__)


class Kernel(Protocol):
    """A kernel that computes blocks of Gram matrices and differentiates through them.

    Images are `[n, h, w, c]`. A result follows the dtype of the images: float32, or float64
    where JAX has it enabled. A result depends on the arguments alone, not on the number of
    threads. Memory does not grow with the block beyond its arguments and results.

    Attributes:
        backend: the name of the backend that computes it.
    """

    backend: str

    @property
    def spec(self) -> KernelSpec | None:
        """The architecture and the kind of kernel; None for a function that only its user knows."""
        ...

    def block(self, x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
        """Return K(x1, x2), `[n1, n2]`.

        Raises:
            ValueError: if the images are not finite, or do not match in shape.
            FloatingPointError: if the kernel leaves the range of float32 (fused; xla and
                neural_tangents return what is not finite).
        """
        ...

    def vjp(
        self,
        x1: np.ndarray,
        x2: np.ndarray,
        cotangent: np.ndarray,
        *,
        wrt: tuple[int, ...] = (0, 1),
    ) -> tuple[np.ndarray, ...]:
        """Return the gradients of sum(cotangent * K(x1, x2)) for the inputs in `wrt`.

        Args:
            x1: the first images, `[n1, h, w, c]`.
            x2: the second images, `[n2, h, w, c]`.
            cotangent: `[n1, n2]`.
            wrt: which inputs to differentiate, 0 for `x1` and 1 for `x2`.

        Raises:
            ValueError: as `block`; or if the cotangent is not finite or has another shape.
        """
        ...

    def gram(self, x: np.ndarray) -> np.ndarray:
        """Return the symmetric K(x, x), `[n, n]`, from its upper triangle."""
        ...

    def gram_vjp(self, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """Return the gradient of sum(cotangent * K(x, x)), `[n, h, w, c]`.

        The cotangent need not be symmetric. Unlike `vjp(x, x, ...)` this knows that each image
        meets itself on the diagonal, where the kernel has a kink in either argument alone.
        """
        ...


def kernel(spec: KernelSpec, *, backend: str = "auto", threads: int | None = None) -> Kernel:
    """Return the kernel of `spec`, computed by `backend`.

    Args:
        spec: the architecture and the kind of kernel.
        backend: "fused" (the CPU, float32, the fastest there), "cuda" (NVIDIA's GPUs, float32, the
            fastest there), "xla" (every device), "neural_tangents" (the reference; slow, and large
            in memory), or "auto" for the fastest that can compute `spec` here.
        threads: how many threads to use, by default one for each core.

    Raises:
        ValueError: if the backend is unknown, is not installed or cannot compute `spec`.
    """
    given: object = spec
    if not isinstance(given, KernelSpec):
        hint = "; give KernelSpec(architecture)" if isinstance(given, Architecture) else ""
        raise ValueError(f"`spec` must be a KernelSpec, got {type(given).__name__}{hint}")
    if threads is not None and threads < 1:
        raise ValueError(f"`threads` must be at least 1, got {threads}")
    if backend not in BACKENDS:
        raise ValueError(f"`backend` must be one of {list(BACKENDS)}, got {backend!r}")
    if backend == "auto":
        backend = _fastest(spec)
    # Each is imported when it is asked for: they need Numba, CUDA, JAX, neural_tangents.
    if backend == "fused":
        from stillhouse.kernels.fused import FusedKernel

        return FusedKernel(spec, threads=threads)
    if backend == "cuda":
        from stillhouse.kernels.cuda import CudaKernel

        return CudaKernel(spec, threads=threads)
    if backend == "xla":
        from stillhouse.kernels.xla import XlaKernel

        return XlaKernel(spec, threads=threads)
    from stillhouse.kernels.neural_tangents import NeuralTangentsKernel

    return NeuralTangentsKernel.from_spec(spec)


def _fastest(spec: KernelSpec) -> str:
    import jax

    from stillhouse.kernels.fused import unsupported_reason

    if jax.default_backend() == "gpu" and spec.architecture.is_convolutional:
        from stillhouse.kernels.cuda import missing_reason

        reason = missing_reason()
        if reason is None:
            return "cuda"
        _say_once(f"{reason}; taking the slower xla")
    if jax.default_backend() != "cpu":
        return "xla"
    reason = unsupported_reason(spec.architecture)
    if reason is None:
        return "fused"
    _say_once(f"the fused backend cannot compute {reason}; taking the slower xla")
    return "xla"


@functools.cache
def _say_once(message: str) -> None:
    _LOGGER.warning(message)
