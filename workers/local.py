"""Tasks computed in this process."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from stillhouse.data.arguments import check_arguments
from stillhouse.data.pixel_images import PixelImages
from stillhouse.kernels.kernel import Kernel
from stillhouse.kernels.spec import KernelSpec
from stillhouse.kernels.threads import Workers, default_threads
from stillhouse.methods.kernel_regression.tiled import TiledComputer
from stillhouse.methods.programs import Arrays, Context
from stillhouse.methods.tasks import Task, run_task


class LocalRunner:
    """A `TaskRunner` that computes tasks in this process, in their order or several at a time.

    Args:
        context: what to compute with.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self._one_thread = context.with_threads(1)

    def results(self, tasks: Sequence[Task]) -> Iterator[Arrays]:
        """Compute tasks, each when its results are asked for; some ahead where side by side."""
        context, threads = self.context, 1
        if len(tasks) > 1 and all(task.program.side_by_side(context) for task in tasks):
            context, threads = self._one_thread, context.threads or default_threads()
        with Workers(threads) as workers:
            yield from workers.in_order(functools.partial(run_task, context), _decoded(tasks))


def _decoded(tasks: Sequence[Task]) -> Iterator[Task]:
    """Yield tasks whose images are no longer pixels."""
    kept: dict[tuple[int, int], np.ndarray] = {}
    for task in tasks:
        pixels = {_place(x): x for x in task.shared if isinstance(x, PixelImages)}
        # Tasks that follow each other often have one set in common, made into images once.
        kept = {
            place: kept[place] if place in kept else np.asarray(x) for place, x in pixels.items()
        }
        shared = tuple(kept[_place(x)] if isinstance(x, PixelImages) else x for x in task.shared)
        yield dataclasses.replace(task, shared=shared)


def _place(images: PixelImages) -> tuple[int, int]:
    return images.pixels.ctypes.data, len(images)


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

    @check_arguments
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
