"""A unit of work as data: a kernel block or its derivative, and the images that it is about.

The result of a task depends on the task alone: not on who computes it, nor on how often it was
tried, nor on what ran before. Hence a task may be computed twice, and the first result wins.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from stillhouse.kernels.kernel import Kernel
from stillhouse.kernels.spec import KernelSpec

PROTOCOL = 1
"""Which messages about tasks there are, and what is in them: server and worker must agree on it."""

Arrays = tuple[np.ndarray, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A kernel block to compute or to differentiate.

    Attributes:
        function: "gram" and "gram_vjp" of one set of images, "block" and "block_vjp" of two.
        spec: the kernel.
        images: the sets, float32 `[n, h, w, c]`.
        cotangent: of a derivative: dL/dK of the block, float32.
        wrt: of "block_vjp": which of the two sets the derivative is by.

    Raises:
        ValueError: if the parts do not belong together.
    """

    function: str
    spec: KernelSpec
    images: Arrays
    cotangent: np.ndarray | None = None
    wrt: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.function not in _FUNCTIONS:
            raise ValueError(
                f"`function` must be one of {', '.join(_FUNCTIONS)}, got {self.function!r}"
            )
        if len(self.images) != (1 if self._symmetric else 2):
            raise ValueError(f"`{self.function}` does not take {len(self.images)} sets of images")
        for x in self.images:
            if x.ndim != 4 or x.dtype != np.float32:
                raise ValueError(f"images must be float32 [n, h, w, c], got {x.dtype} {x.shape}")
            if x.shape[1:] != self.images[0].shape[1:]:
                raise ValueError("both sets of images must be of one size")
        if (self.cotangent is not None) != self._derivative:
            raise ValueError(f"`cotangent` is what `{self.function}` does not go with")
        if self.cotangent is not None and self.cotangent.shape != self._block:
            raise ValueError(
                f"`cotangent` must be {list(self._block)}, got {list(self.cotangent.shape)}"
            )
        if self.wrt not in ([(0,), (1,), (0, 1)] if self.function == "block_vjp" else [()]):
            raise ValueError(f"`wrt` of `{self.function}` cannot be {self.wrt}")

    @property
    def elements(self) -> int:
        """The kernel elements it computes: of a symmetric block, those of its upper triangle."""
        n1, n2 = self._block
        return n1 * (n1 + 1) // 2 if self._symmetric else n1 * n2

    @property
    def result_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of its results, all of them float32."""
        if not self._derivative:
            return (self._block,)
        return tuple(self.images[i].shape for i in self.wrt or (0,))

    @property
    def _block(self) -> tuple[int, int]:
        return len(self.images[0]), len(self.images[-1])

    @property
    def _symmetric(self) -> bool:
        return self.function.startswith("gram")

    @property
    def _derivative(self) -> bool:
        return self.function.endswith("_vjp")


class TaskFailedError(RuntimeError):
    """A task failed wherever it was tried; the message is the last one's reason."""


class TaskRunner(Protocol):
    """Something that computes tasks: this process, or many machines."""

    def results(self, tasks: Sequence[Task]) -> Iterator[Arrays]:
        """Yield the results of each task, in the order of the tasks.

        Raises:
            FloatingPointError: if the values of a task are what no kernel can compute with.
            TaskFailedError: if a task failed, for whatever other reason, wherever it was tried.
        """
        ...


def run_task(kernel: Kernel, task: Task) -> Arrays:
    """Compute a task here, by the kernel of its spec.

    Returns:
        Its results, of `task.result_shapes`.

    Raises:
        ValueError: if the kernel cannot compute the images, or they are not finite.
        FloatingPointError: if the result leaves the range of float32.
    """
    return _FUNCTIONS[task.function](kernel, task)


def check_results(shapes: Sequence[tuple[int, ...]], results: Sequence[np.ndarray]) -> None:
    """Check what somebody else says are the results of a task.

    Args:
        shapes: the task's `result_shapes`.
        results: what came.

    Raises:
        ValueError: if they are of another number, shape or dtype, or not finite.
    """
    if len(results) != len(shapes):
        raise ValueError(f"{len(results)} results where {len(shapes)} belong")
    for shape, result in zip(shapes, results, strict=True):
        if result.dtype != np.float32 or result.shape != tuple(shape):
            raise ValueError(
                f"a result of {result.dtype} {list(result.shape)} where float32 {list(shape)} "
                "belongs"
            )
        if not np.isfinite(result).all():
            raise ValueError("a result that holds NaN or infinity")


def _gram(kernel: Kernel, task: Task) -> Arrays:
    return (kernel.gram(task.images[0]),)


def _block(kernel: Kernel, task: Task) -> Arrays:
    return (kernel.block(*task.images),)


def _gram_vjp(kernel: Kernel, task: Task) -> Arrays:
    assert task.cotangent is not None
    return (kernel.gram_vjp(task.images[0], task.cotangent),)


def _block_vjp(kernel: Kernel, task: Task) -> Arrays:
    assert task.cotangent is not None
    x1, x2 = task.images
    return kernel.vjp(x1, x2, task.cotangent, wrt=task.wrt)


# No code travels: a task names one of these.
_FUNCTIONS: dict[str, Callable[[Kernel, Task], Arrays]] = {
    "gram": _gram,
    "block": _block,
    "gram_vjp": _gram_vjp,
    "block_vjp": _block_vjp,
}
