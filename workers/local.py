"""Kernels computed in this process."""

from collections.abc import Iterator, Mapping, Sequence

from stillhouse.kernels.kernel import Kernel, kernel
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.tasks import Arrays, Task, run_task
from stillhouse.methods.tiled import TiledComputer


class LocalComputer(TiledComputer):
    """A `KernelComputer` that computes one tile after another in this process.

    Memory is that of the results and of one tile.

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
        super().__init__(self)
        self.backend = backend
        self.threads = threads
        self._kernels: dict[KernelSpec, Kernel] = dict(kernels or {})

    def kernel(self, spec: KernelSpec) -> Kernel:
        """Return the kernel that computes `spec`, the same object each time.

        Raises:
            ValueError: if the backend is unknown, not installed, or has no such kernel.
        """
        if spec not in self._kernels:
            self._kernels[spec] = kernel(spec, backend=self.backend, threads=self.threads)
        return self._kernels[spec]

    def results(self, tasks: Sequence[Task]) -> Iterator[Arrays]:
        """Compute tasks, each when its results are asked for."""
        return (run_task(self.kernel(task.spec), task) for task in tasks)
