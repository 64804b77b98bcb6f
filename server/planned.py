"""The tasks of a step, as far as their costs go."""

import dataclasses
from collections.abc import Hashable, Iterable, Mapping

from stillhouse.methods.tasks import Outline


@dataclasses.dataclass(frozen=True)
class PlannedTask:
    """A task as far as its costs go.

    Attributes:
        work: its work units.
        blobs: the bytes of each of the arrays that a worker must have, by name.
        bytes_down: what is sent with the task itself, which is its own arrays.
        bytes_up: its results.
        kind: tasks of one kind take the same for each unit.
        cost: how many times longer than in the fastest kind a unit takes.
    """

    work: int
    blobs: Mapping[str, int]
    bytes_down: int = 0
    bytes_up: int = 0
    kind: Hashable = ""
    cost: float = 1.0


def planned(outlines: Iterable[Outline], *, cost: float = 1.0) -> list[PlannedTask]:
    """Return what tasks will cost, by what their programs say.

    Args:
        outlines: the tasks.
        cost: of each, as in `PlannedTask`.
    """
    return [_planned(outline, cost) for outline in outlines]


def _planned(outline: Outline, cost: float) -> PlannedTask:
    program, (shared, own) = outline.program, outline.types
    return PlannedTask(
        program.work(shared, own),
        {name: array.nbytes for name, array in outline.shared.items()} | dict(outline.coded),
        sum(array.nbytes for array in outline.own),
        sum(array.nbytes for array in program.results(shared, own)),
        program,
        cost,
    )
