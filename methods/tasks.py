"""A unit of work as data: a program, and the arrays that it is about.

The result of a task depends on the task alone: not on who computes it, nor on how often it was
tried, nor on what ran before. Hence a task may be computed twice, and the first result wins.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from stillhouse.data.pixel_images import Images
from stillhouse.methods.programs.context import Context
from stillhouse.methods.programs.program import Arrays, ArrayType, Program, Types

PROTOCOL = 3
"""Which messages about tasks there are, and what is in them: server and worker must agree on it."""


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A program to compute, and its arrays, which must not change meanwhile.

    Attributes:
        program: what to compute.
        shared: arrays that other tasks have too, such as images; a worker fetches them once.
            Images may still be the pixels that they were made from, which are fewer bytes.
        own: small arrays of this task alone, which travel with it, such as a cotangent or a seed.

    Raises:
        ValueError: if the program cannot take the arrays.
    """

    program: Program
    shared: tuple[Images, ...]
    own: Arrays = ()

    def __post_init__(self) -> None:
        self.program.check(self.shared, self.own)

    @property
    def work(self) -> int:
        """How many of its program's units it costs."""
        return self.program.work(self.shared, self.own)

    @property
    def results(self) -> tuple[ArrayType, ...]:
        """What its results will be."""
        return self.program.results(self.shared, self.own)

    def __str__(self) -> str:
        return self.program.describe(self.shared, self.own)


class SpoiledError(Exception):
    """Results that were handed out may be wrong, since who computed them was found out.

    Whatever was made of them since the last state that was believed is to be computed again.
    """


@dataclasses.dataclass(frozen=True)
class Outline:
    """A task before there are any arrays, for plans.

    Attributes:
        program: what to compute.
        shared: the types of its shared arrays, by a name that tasks with the same array share.
        own: the types of its own arrays.
        coded: the bytes of those shared arrays that travel in fewer than they have, by name.
    """

    program: Program
    shared: Mapping[str, ArrayType]
    own: tuple[ArrayType, ...] = ()
    coded: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def types(self) -> tuple[Types, Types]:
        """The types of both, as the methods of the program take them."""
        return tuple(self.shared.values()), self.own


class TaskFailedError(RuntimeError):
    """A task failed wherever it was tried; the message is the last one's reason."""


class TaskRunner(Protocol):
    """Something that computes tasks: this process, or many machines."""

    def results(self, tasks: Sequence[Task]) -> Iterator[Arrays]:
        """Yield the results of each task, in the order of the tasks.

        Raises:
            FloatingPointError: if the values of a task are what nobody can compute with.
            TaskFailedError: if a task failed, for whatever other reason, wherever it was tried.
        """
        ...


class Tally:
    """A `TaskRunner` that passes tasks on, and counts their work.

    Args:
        runner: computes them.

    Attributes:
        work: the work units whose results have come, by what they are.
    """

    def __init__(self, runner: TaskRunner) -> None:
        self.work: dict[str, int] = {}
        self._runner = runner

    def results(self, tasks: Sequence[Task]) -> Iterator[Arrays]:
        """Yield the results of each task, in the order of the tasks."""
        for task, results in zip(tasks, self._runner.results(tasks), strict=True):
            self.work[task.program.unit] = self.work.get(task.program.unit, 0) + task.work
            yield results


def run_task(context: Context, task: Task) -> Arrays:
    """Compute a task here.

    Returns:
        Its results, of the types that `task.results` says.

    Raises:
        ValueError: if its arrays are what its program cannot compute with.
        FloatingPointError: if a result leaves the range of its dtype.
        UnsupportedError: if this machine cannot compute it.
    """
    return task.program.compute(context, tuple(map(np.asarray, task.shared)), task.own)


def check_results(types: Sequence[ArrayType], results: Sequence[np.ndarray]) -> None:
    """Check what somebody else says are the results of a task.

    Args:
        types: what `Task.results` says.
        results: what came.

    Raises:
        ValueError: if they are of another number, shape or dtype, or not finite.
    """
    if len(results) != len(types):
        raise ValueError(f"{len(results)} results where {len(types)} belong")
    for expected, result in zip(types, results, strict=True):
        if result.dtype != expected.dtype or result.shape != expected.shape:
            raise ValueError(
                f"a result of {result.dtype} {list(result.shape)} where {expected} belongs"
            )
        if not np.isfinite(result).all():
            raise ValueError("a result that holds NaN or infinity")
