"""A task computed here: read from a message, run, and cut smaller where memory ends."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from stillhouse.data.wire import unpack
from stillhouse.methods.programs import Arrays, Context, UnsupportedError, program_from_json
from stillhouse.methods.tasks import Task, run_task

FailureKind = Literal["value", "memory", "other"]

_LOGGER = logging.getLogger(__name__)


def read_task(entry: Mapping[str, Any], shared: Sequence[np.ndarray]) -> Task:
    """Return the task that a message of the server describes.

    Args:
        entry: the message: its program as JSON, and its own arrays as bytes.
        shared: the arrays whose hashes the message names.

    Raises:
        ValueError: if it describes none, or a program that is not known here.
    """
    try:
        own = tuple(unpack(data) for data in entry["own"])
        return Task(program_from_json(entry["program"]), tuple(shared), own)
    except (KeyError, TypeError) as error:
        raise ValueError(f"a task that cannot be read: {error!r}") from error


def compute(context: Context, task: Task) -> Arrays:
    """Return the results of a task; where memory does not suffice, from ever smaller parts.

    Halving a task changes the order of some sums, and so perhaps the last place of what they give:
    gradients, and blocks where the backend's own sums go with the shape of a block (the fused
    one's do not). A warning says when it happens.

    Raises:
        ValueError: if its arrays are what its program cannot compute with.
        FloatingPointError: if a result is not finite.
        UnsupportedError: if this machine cannot compute it.
        MemoryError: if memory does not suffice, and it cannot be halved any more.
    """
    results = _in_parts(context, task)
    if not all(np.isfinite(result).all() for result in results):
        # Not every backend looks. That a run has left float32 is no fault of this worker.
        raise FloatingPointError(f"a result of the {task} is not finite")
    return results


def failure_kind(error: BaseException) -> FailureKind:
    """Return what the server should know of an error: whether another worker may do better."""
    if out_of_memory(error):
        return "memory"
    if isinstance(error, UnsupportedError):
        return "other"
    return "value" if isinstance(error, ValueError | FloatingPointError) else "other"


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that this machine or its device has too little memory."""
    # XLA's error class has moved with every other release, and its message is the only code.
    text = str(error)
    from_xla = isinstance(error, RuntimeError) and (
        "RESOURCE_EXHAUSTED" in text or "Out of memory" in text
    )
    return isinstance(error, MemoryError) or from_xla


def _in_parts(context: Context, task: Task) -> Arrays:
    try:
        return run_task(context, task)
    except Exception as error:
        if not out_of_memory(error):
            raise
        halves = task.program.halves(tuple(map(np.asarray, task.shared)), task.own)
        if halves is None:
            reason = f"too little memory for the {task}, which cannot be halved: {error}"
            raise MemoryError(reason) from error
        reason = str(error).partition("\n")[0]
    # Out here the error is gone, and with it what its traceback keeps alive.
    _LOGGER.warning("too little memory for the %s, computed in halves: %s", task, reason)
    return halves.join([_in_parts(context, Task(*part)) for part in halves.parts])
