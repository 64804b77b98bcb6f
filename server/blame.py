"""Whether a task that failed is to blame, or who tried it."""

from collections.abc import Callable, Iterable

from stillhouse.server.leases import Failure, TaskState, WorkerState
from stillhouse.server.ledger import Ledger
from stillhouse.server.roster import Roster

# Hosts that must have failed at a task, where there are as many.
_HOSTS = 3


class Blame:
    """Decides what becomes of tasks that failed.

    One worker that fails proves nothing: its host may lack what others have. A task is at fault
    where different workers failed at it, on different hosts where there are such; or where all
    that there are have tried it, and no other comes for a while.

    Args:
        ledger: the tasks.
        roster: the workers.
        say: told, by kind and message, what happens.
        max_failures: how often a task may fail.
        alone_seconds: how long a task waits for a worker that has not tried it, where one alone
            has, or all have been set aside.
    """

    def __init__(
        self,
        ledger: Ledger,
        roster: Roster,
        say: Callable[[str, str], None],
        max_failures: int,
        alone_seconds: float,
    ) -> None:
        self._ledger, self._roster, self._say = ledger, roster, say
        self._max_failures, self._alone_seconds = max_failures, alone_seconds
        # Those that failed, and are not over.
        self._tasks: dict[str, TaskState] = {}

    def note(self, task: TaskState, worker: WorkerState, failure: Failure) -> None:
        """Note that a task failed on a worker."""
        task.failures += 1
        task.failed_on[worker.id] = worker
        task.trouble = failure
        self._tasks[task.id] = task

    def forget(self, ids: Iterable[str]) -> None:
        """Think of tasks no more."""
        for id in ids:
            self._tasks.pop(id, None)

    def may_try(self, worker: WorkerState, task: TaskState) -> bool:
        """Return whether a worker may be lent a task.

        One that it failed on it gets again only if all others have failed too, and not for ever.
        """
        if task.votes and task.has_result_of(worker):
            return False
        if worker.id not in task.failed_on:
            return True
        return task.failures < self._max_failures and not self._somebody_is_left(task)

    def judge_all(self, now: float) -> None:
        """Judge all tasks that failed; who is there to try them may have changed."""
        for task in list(self._tasks.values()):
            self.judge(task, now)

    def judge(self, task: TaskState, now: float, *, believed: bool = False) -> None:
        """Give a task up, if it is the task that is to blame.

        Args:
            task: which has failed.
            now: the time.
            believed: whether a single worker is believed that the task would fail anywhere.
        """
        trouble = task.trouble
        assert trouble is not None, "it has failed"
        if self._failed_on_several(task) or (believed and self._is_exhausted(task)):
            over = True
        elif not self._is_exhausted(task):
            task.alone_since, over = None, False
        elif task.alone_since is None:
            over = False
            self._warn(task, trouble)
            task.alone_since = now
        else:
            over = now - task.alone_since >= self._alone_seconds
        if over:
            self._say("failed", f"task {task.id} is given up: it failed on {self._tried(task)}")
            self._ledger.give_up(task, trouble)
            self.forget([task.id])

    def _warn(self, task: TaskState, trouble: Failure) -> None:
        if all(other.alone_since is None for other in self._tasks.values()):
            self._say(
                "alone",
                f"task {task.id} failed on {self._tried(task)}, and nobody else is there: the run "
                f"ends in {self._alone_seconds:.0f} s, unless another worker comes "
                f"({trouble.reason})",
            )

    def _tried(self, task: TaskState) -> str:
        return ", ".join(map(str, task.failed_on.values()))

    def _failed_on_several(self, task: TaskState) -> bool:
        if task.failures < self._max_failures or len(task.failed_on) < 2:
            return False
        hosts = {worker.info.host for worker in task.failed_on.values()}
        others = {worker.info.host for worker in self._roster.trusted()} - hosts
        enough = len(task.failed_on) >= self._max_failures and (len(hosts) >= _HOSTS or not others)
        return enough or not self._somebody_is_left(task)

    def _is_exhausted(self, task: TaskState) -> bool:
        """Return whether nobody is left who will try a task."""
        if self._somebody_is_left(task):
            return False
        all_set_aside = all(worker.state == "quarantined" for worker in task.failed_on.values())
        nobody = all_set_aside and not self._roster.live
        return nobody or task.failures >= self._max_failures

    def _somebody_is_left(self, task: TaskState) -> bool:
        return any(worker.id not in task.failed_on for worker in self._roster.trusted())
