"""What a process computes programs with."""

from collections.abc import Mapping

from stillhouse.kernels.kernel import Kernel, kernel
from stillhouse.kernels.spec import KernelSpec


class UnsupportedError(ValueError):
    """This machine cannot compute something, whatever its arrays; another one may."""


class Context:
    """What a process computes with: a backend for kernels, threads, and a device.

    Args:
        backend: the name of the kernels' backend, see `stillhouse.kernels.kernel`.
        threads: how many threads may be used; None for the default.
        device: what computes, "cpu" or "gpu:0" and so on; only said, JAX has been told before.
        kernels: kernels of your own, each to be used for its spec in place of the backend's.
    """

    def __init__(
        self,
        backend: str = "auto",
        threads: int | None = None,
        *,
        device: str = "cpu",
        kernels: Mapping[KernelSpec, Kernel] | None = None,
    ) -> None:
        self.backend = backend
        self.threads = threads
        self.device = device
        self._given = dict(kernels or {})
        self._kernels: dict[KernelSpec, Kernel] = dict(self._given)

    def kernel(self, spec: KernelSpec) -> Kernel:
        """Return the kernel that computes `spec`, the same object each time.

        Raises:
            UnsupportedError: if the backend is unknown, not installed, or has no such kernel.
        """
        if spec not in self._kernels:
            try:
                self._kernels[spec] = kernel(spec, backend=self.backend, threads=self.threads)
            except ValueError as error:
                raise UnsupportedError(str(error)) from error
        return self._kernels[spec]

    def with_threads(self, threads: int) -> "Context":
        """Return one like it, of so many threads."""
        return Context(self.backend, threads, device=self.device, kernels=self._given)
