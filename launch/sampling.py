"""A step of a run, of which one task of each kind is computed: what plans are made of."""

import dataclasses
import time
from collections.abc import Iterator, Sequence

from stillhouse.data.pixel_images import Images
from stillhouse.methods.programs import Arrays, Program
from stillhouse.methods.tasks import Task, TaskRunner
from stillhouse.server.planned import PlannedTask


@dataclasses.dataclass(frozen=True)
class SampledStep:
    """The tasks of a step, and how long they take.

    Attributes:
        passes: the tasks of each pass; one begins when all results of the last are there.
        seconds: of all tasks, one after another.
        computed: what was really spent on tasks, in seconds.
    """

    passes: tuple[tuple[PlannedTask, ...], ...]
    seconds: float
    computed: float

    @property
    def tasks(self) -> int:
        """How many tasks there are."""
        return sum(map(len, self.passes))

    @property
    def work(self) -> int:
        """Their work units."""
        return sum(task.work for tasks in self.passes for task in tasks)

    @property
    def seconds_per_unit(self) -> float:
        """Seconds of a work unit of cost 1."""
        return self.seconds / max(sum(t.work * t.cost for p in self.passes for t in p), 1)


class SamplingRunner:
    """A `TaskRunner` that computes a task of each kind, and hands its results out for the others.

    Tasks of one program whose arrays have the same shapes take as long as each other. What a step
    makes of such results is of no use, but it takes as long as ever.

    Args:
        runner: computes tasks.
    """

    def __init__(self, runner: TaskRunner) -> None:
        self._runner = runner
        self._known: dict[object, tuple[Arrays, float]] = {}
        self._names: dict[int, str] = {}
        self._alive: list[Images] = []
        self.begin()

    def begin(self) -> None:
        """Forget the tasks so far, but not what they gave: another step begins."""
        self._passes: list[list[tuple[Task, float]]] = []
        self._computed = 0.0
        self._fresh: set[object] = set()

    def results(self, tasks: Sequence[Task]) -> Iterator[Arrays]:
        """Yield what has the types of the results of each task."""
        tasks_of_pass: list[tuple[Task, float]] = []
        self._passes.append(tasks_of_pass)
        for task in tasks:
            results, seconds = self._of_its_kind(task)
            tasks_of_pass.append((task, seconds))
            yield results

    def step(self) -> SampledStep:
        """Return the tasks since `begin`."""
        passes = [tasks for tasks in self._passes if tasks]
        each = [seconds / max(task.work, 1) for tasks in passes for task, seconds in tasks]
        fastest = min(each, default=0.0) or 1.0
        planned = tuple(
            tuple(self._planned(task, seconds / max(task.work, 1) / fastest) for task, seconds in p)
            for p in passes
        )
        total = sum(seconds for tasks in passes for _, seconds in tasks)
        return SampledStep(planned, total, self._computed)

    def _of_its_kind(self, task: Task) -> tuple[Arrays, float]:
        kind = _kind(task)
        if kind not in self._fresh:  # Once a step: the first time it is compiled.
            started = time.perf_counter()
            (results,) = self._runner.results([task])
            seconds = time.perf_counter() - started
            self._computed += seconds
            self._known[kind] = results, seconds
            self._fresh.add(kind)
        return self._known[kind]

    def _planned(self, task: Task, cost: float) -> PlannedTask:
        return PlannedTask(
            task.work,
            {self._name(array): array.nbytes for array in task.shared},
            sum(array.nbytes for array in task.own),
            sum(result.nbytes for result in task.results),
            task.program,
            cost,
        )

    def _name(self, array: Images) -> str:
        """Return what tells an array from others: which object it is, as long as that lives."""
        if id(array) not in self._names:
            self._names[id(array)] = f"array {len(self._names)}"
            self._alive.append(array)
        return self._names[id(array)]


def _kind(task: Task) -> tuple[Program, tuple[tuple[int, ...], ...]]:
    return task.program, tuple(array.shape for array in (*task.shared, *task.own))
