"""The tasks that are not over with, and who holds them."""

import collections
import itertools
import secrets
from collections.abc import Callable, Collection, Iterable
from typing import Any

from stillhouse.server.leases import Failure, Lease, TaskRecord, TaskState, WorkerState
from stillhouse.server.task_queue import TaskQueue

# Of the leases that run longest, so many are looked at for one to back up.
_OLDEST_LOOKED_AT = 32
# Workers that compute one task at a time.
_MOST_COPIES = 4


class Ledger:
    """Keeps each task in one state: queued, lent, done or failed.

    An id is never used again, not by the ledger of a restarted server either.

    Attributes:
        run: what its ids begin with.
        queue: the tasks that wait.
    """

    def __init__(self) -> None:
        self.run = secrets.token_hex(4)
        self.queue = TaskQueue()
        self._tasks: dict[str, TaskState] = {}
        self._failed: dict[str, TaskState] = {}
        # Those that are lent, and may be lent once more, the oldest first.
        self._lent: collections.OrderedDict[str, TaskState] = collections.OrderedDict()
        self._numbers = itertools.count(1)
        self._last = 0

    def add(self, record: TaskRecord) -> str:
        """Queue a task behind all others, and return its id."""
        self._last = next(self._numbers)
        task = TaskState(f"{self.run}-{self._last}", self._last, record)
        self._tasks[task.id] = task
        self.queue.add(task)
        return task.id

    def get(self, task_id: str) -> TaskState | None:
        """Return a task; None if there is none, or not any more."""
        return self._tasks.get(task_id)

    def was_here(self, task_id: str) -> bool:
        """Return whether there ever was a task of this id."""
        number = task_id.rpartition("-")[2]
        if not (number.isascii() and number.isdigit() and len(number) < 16):
            return False
        return task_id == f"{self.run}-{int(number)}" and 1 <= int(number) <= self._last

    def take(self, ids: Iterable[str]) -> list[Any]:
        """Take the results of these tasks in this order, up to the first that is not done."""
        results = []
        for id in ids:
            task = self._tasks.get(id)
            if task is None or not task.done:
                break
            results.append(task.result)
            del self._tasks[id]
        return results

    def failure(self, ids: Collection[str]) -> Failure | None:
        """Return why one of these tasks failed for good; None if none did."""
        return next((task.failure for id, task in self._failed.items() if id in ids), None)

    def lend(self, task: TaskState, worker: WorkerState, now: float, deadline: float) -> None:
        """Lend a task that was taken from the queue, or once more."""
        news = tuple(blob for blob in task.record.blobs if blob not in worker.blobs)
        task.leases[worker.id] = Lease(task.id, task.record, worker, now, deadline, news)
        worker.owed.pop(task.id, None)
        worker.held[task.id] = task
        worker.attempts += 1
        worker.holds(task.record.blobs)
        self._sort(task)

    def take_back(self, task: TaskState, worker: WorkerState) -> bool:
        """End a lease, and return whether the task is queued again."""
        worker.owed[task.id] = task.leases.pop(worker.id)
        del worker.held[task.id]
        if not task.leases:
            self.queue.add(task)
        self._sort(task)
        return not task.leases

    def finish(self, task: TaskState, result: Any) -> None:
        """Take the first result of a task that is not over."""
        self._end(task)
        task.votes.clear()
        task.done, task.result = True, result

    def give_up(self, task: TaskState, failure: Failure) -> None:
        """Try a task never again."""
        self._end(task)
        task.failure = failure
        self._failed[task.id] = task

    def cancel(self, ids: Iterable[str]) -> None:
        """Forget tasks."""
        for id in ids:
            task = self._tasks.pop(id, None)
            if task is not None:
                self._failed.pop(id, None)
                self._end(task)

    def longest(self, allowed: Callable[[TaskState], bool], now: float) -> TaskState | None:
        """Return the task that has been computed longest, of those lent and allowed."""
        oldest = itertools.islice(self._lent.values(), _OLDEST_LOOKED_AT)
        return max(filter(allowed, oldest), key=lambda task: task.runs(now), default=None)

    def _end(self, task: TaskState) -> None:
        self.queue.remove(task)
        for lease in task.leases.values():
            del lease.worker.held[task.id]
            lease.worker.owed[task.id] = lease
        task.leases.clear()
        self._sort(task)

    def _sort(self, task: TaskState) -> None:
        if 0 < len(task.leases) < _MOST_COPIES:
            self._lent.setdefault(task.id, task)
        else:
            self._lent.pop(task.id, None)
