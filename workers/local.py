"""Tasks computed in this process."""

from collections.abc import Iterator, Mapping, Sequence

from stillhouse.kernels.kernel import Kernel
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.kernel_regression.tiled import TiledComputer
from stillhouse.methods.programs import Arrays, Context
from stillhouse.methods.tasks import Task, run_task


class LocalRunner:
    """A `TaskRunner` that computes one task after another in this process.

    Args:
        context: what to compute with.
    """

    def __init__(self, context: Context) -> None:
        self.context = context

    def results(self, tasks: Sequence[Task]) -> Iterator[Arrays]:
        """Compute tasks, each when its results are asked for."""
        return (run_task(self.context, task) for task in tasks)


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
        self.context = Context(backend, threads, kernels=kernels)
        super().__init__(LocalRunner(self.context))

    def kernel(self, spec: KernelSpec) -> Kernel:
        """Return the kernel that computes `spec`, the same object each time.

        Raises:
            ValueError: if the backend is unknown, not installed, or has no such kernel.
        """
        return self.context.kernel(spec)
