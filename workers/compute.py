"""A task computed here: read from a message, run, and cut smaller where memory ends."""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from stillhouse.data.wire import unpack
from stillhouse.kernels.kernel import Kernel
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.tasks import Arrays, Task, run_task

FailureKind = Literal["value", "memory", "other"]

_LOGGER = logging.getLogger(__name__)


def read_task(entry: Mapping[str, Any], images: Sequence[np.ndarray]) -> Task:
    """Return the task that a message of the server describes.

    Args:
        entry: the message: its function, the spec as JSON, the cotangent as bytes or None, `wrt`.
        images: the arrays whose hashes the message names.

    Raises:
        ValueError: if it describes none.
    """
    try:
        cotangent = entry["cotangent"]
        return Task(
            entry["function"],
            KernelSpec.from_json(entry["spec"]),
            tuple(images),
            None if cotangent is None else unpack(cotangent),
            tuple(entry["wrt"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"a task that cannot be read: {error!r}") from error


def compute(kernel: Kernel, task: Task) -> Arrays:
    """Return the results of a task; where memory does not suffice, from ever smaller parts.

    Halving a task changes the order of some sums, and so perhaps the last place of what they give:
    gradients, and blocks where the backend's own sums go with the shape of a block (the fused
    one's do not). A warning says when it happens.

    Raises:
        ValueError: if the kernel cannot compute the images.
        FloatingPointError: if a result is not finite.
        MemoryError: if memory does not suffice for a single pair of images.
    """
    results = _in_parts(kernel, task)
    if not all(np.isfinite(result).all() for result in results):
        # Not every backend looks. That a run has left float32 is no fault of this worker.
        raise FloatingPointError("the kernel of these images, or its derivative, is not finite")
    return results


def failure_kind(error: BaseException) -> FailureKind:
    """Return what the server should know of an error: whether another worker may do better."""
    if out_of_memory(error):
        return "memory"
    return "value" if isinstance(error, ValueError | FloatingPointError) else "other"


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that this machine or its device has too little memory."""
    # XLA's error class has moved with every other release, and its message is the only code.
    text = str(error)
    from_xla = isinstance(error, RuntimeError) and (
        "RESOURCE_EXHAUSTED" in text or "Out of memory" in text
    )
    return isinstance(error, MemoryError) or from_xla


def _in_parts(kernel: Kernel, task: Task) -> Arrays:
    try:
        return run_task(kernel, task)
    except Exception as error:
        if not out_of_memory(error):
            raise
        if max(map(len, task.images)) == 1:
            raise MemoryError(f"too little memory for one pair of images: {error}") from error
        reason = str(error).partition("\n")[0]
    # Out here the error is gone, and with it what its traceback keeps alive.
    _LOGGER.warning(
        "too little memory for a %s of %s images, which is computed in halves: %s",
        task.function,
        " x ".join(str(len(x)) for x in task.images),
        reason,
    )
    return _HALVED[task.function](task, lambda part: _in_parts(kernel, part))


_Run = Callable[[Task], Arrays]


def _halves(n: int) -> tuple[slice, slice]:
    return slice(0, (n + 1) // 2), slice((n + 1) // 2, n)


def _block(task: Task, run: _Run) -> Arrays:
    side = _longer(task)
    parts = [run(_cut(task, side, half))[0] for half in _halves(len(task.images[side]))]
    return (np.concatenate(parts, axis=side),)


def _block_vjp(task: Task, run: _Run) -> Arrays:
    # Along a side that is differentiated parts need no sum, but it may be too short to cut.
    side = task.wrt[0] if len(task.wrt) == 1 else _longer(task)
    if len(task.images[side]) == 1:
        side = 1 - side
    first, second = (run(_cut(task, side, half)) for half in _halves(len(task.images[side])))
    return tuple(
        np.concatenate([a, b]) if i == side else a + b
        for i, a, b in zip(task.wrt, first, second, strict=True)
    )


def _gram(task: Task, run: _Run) -> Arrays:
    (x,) = task.images
    top, bottom = _halves(len(x))
    result = np.empty((len(x), len(x)), np.float32)
    for half in (top, bottom):
        (result[half, half],) = run(Task("gram", task.spec, (x[half],)))
    (block,) = run(Task("block", task.spec, (x[top], x[bottom])))
    result[top, bottom], result[bottom, top] = block, block.T
    return (result,)


def _gram_vjp(task: Task, run: _Run) -> Arrays:
    (x,), g = task.images, task.cotangent
    assert g is not None
    top, bottom = _halves(len(x))
    result = np.empty_like(x)
    for half in (top, bottom):
        (result[half],) = run(Task("gram_vjp", task.spec, (x[half],), g[half, half]))
    between = g[top, bottom] + g[bottom, top].T
    pair = Task("block_vjp", task.spec, (x[top], x[bottom]), between, (0, 1))
    for half, part in zip((top, bottom), run(pair), strict=True):
        result[half] += part
    return (result,)


def _longer(task: Task) -> int:
    return int(len(task.images[1]) > len(task.images[0]))


def _cut(task: Task, side: int, part: slice) -> Task:
    images = tuple(x[part] if i == side else x for i, x in enumerate(task.images))
    g = task.cotangent
    if g is not None:
        g = g[part] if side == 0 else g[:, part]
    return dataclasses.replace(task, images=images, cotangent=g)


_HALVED: dict[str, Callable[[Task, _Run], Arrays]] = {
    "gram": _gram,
    "block": _block,
    "gram_vjp": _gram_vjp,
    "block_vjp": _block_vjp,
}
