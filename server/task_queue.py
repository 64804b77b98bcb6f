"""The tasks that wait for a worker, in their order."""

import bisect
from collections.abc import Callable, Container

from stillhouse.server.leases import TaskState

# How far from the front a task may be picked for what its worker holds. At the front, so that
# results leave about in order, and no pick takes longer where thousands wait.
_WINDOW = 128


class TaskQueue:
    """Tasks by their number: one that comes back stands where it stood, before all later ones."""

    def __init__(self) -> None:
        # A list: moving a few thousand pointers takes less than any tree's bookkeeping.
        self._tasks: list[TaskState] = []

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, task: TaskState) -> None:
        """Put a task in its place."""
        if not self._tasks or self._tasks[-1].number < task.number:
            self._tasks.append(task)
        else:
            bisect.insort(self._tasks, task, key=_number)

    def remove(self, task: TaskState) -> bool:
        """Take a task out, and return whether it was there."""
        place = bisect.bisect_left(self._tasks, task.number, key=_number)
        found = place < len(self._tasks) and self._tasks[place] is task
        if found:
            del self._tasks[place]
        return found

    def pop_nearest(
        self, allowed: Callable[[TaskState], bool], held: Container[str]
    ) -> TaskState | None:
        """Take out the task near the front of which the fewest blobs are missing.

        Args:
            allowed: whether a task may be taken.
            held: the blobs that are there.
        """
        holds = held.__contains__
        window = [task.record.blobs for task in self._tasks[:_WINDOW]]
        missing = [len(blobs) - sum(map(holds, blobs)) for blobs in window]
        for place in sorted(range(len(missing)), key=missing.__getitem__):
            if allowed(self._tasks[place]):
                return self._tasks.pop(place)
        return None


def _number(task: TaskState) -> int:
    return task.number
