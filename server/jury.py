"""Audited tasks: the results of several workers compared, and whoever is wrong found out."""

from collections.abc import Callable, Iterable

from stillhouse.server.audit import Audit, agreement
from stillhouse.server.blame import Blame
from stillhouse.server.leases import Failure, TaskState, Vote, WorkerState
from stillhouse.server.ledger import Ledger
from stillhouse.server.roster import Roster


class Jury:
    """Decides which result of an audited task is believed.

    Args:
        audit: counts what is compared.
        ledger: the tasks.
        roster: the workers.
        blame: says who may try a task.
        say: told, by kind and message, what happens.
        expel: called with a worker that is proved wrong, and the reason.
        alone_seconds: how long a task waits for another worker to be compared with.
    """

    def __init__(
        self,
        audit: Audit,
        ledger: Ledger,
        roster: Roster,
        blame: Blame,
        say: Callable[[str, str], None],
        expel: Callable[[WorkerState, str], None],
        alone_seconds: float,
    ) -> None:
        self._audit, self._ledger, self._roster, self._blame = audit, ledger, roster, blame
        self._say, self._expel, self._alone_seconds = say, expel, alone_seconds
        # Those that have a result, and wait for another.
        self._waiting: dict[str, TaskState] = {}
        self._spoiled = ""

    def take_spoiled(self) -> str:
        """Return who was found to hand in wrong results since the last call; nobody is empty."""
        spoiled, self._spoiled = self._spoiled, ""
        return spoiled

    def forget(self, ids: Iterable[str]) -> None:
        """Think of tasks no more."""
        for id in ids:
            self._waiting.pop(id, None)

    def hear(self, task: TaskState, vote: Vote) -> Vote | None:
        """Take one more result of a task, and return the one that two workers have, if any."""
        worker = vote.worker
        if not task.has_result_of(worker):
            task.votes[worker.id] = vote
        agreed, odd = agreement(task)
        if agreed is None:
            self._waiting[task.id] = task
            if task.id in worker.held:
                self._ledger.take_back(task, worker)
            worker.owed.pop(task.id, None)
            if len(task.votes) > 1:
                self._say(
                    "audit",
                    f"{_voters(task)} differ in the bits of task {task.id}; a third decides",
                )
            return None
        self._waiting.pop(task.id, None)
        self._audit.compared += 1
        for other in odd:
            self._audit.name([str(other)])
            self._spoiled = str(other)
            self._expel(other, f"two others agree on other bits of task {task.id}")
        return agreed

    def close_overdue(self, now: float) -> int:
        """See to it that no task waits for ever to be compared; return how many are done by that.

        One that has a single result is believed after a while; of two that differ neither is.
        """
        return sum([self._close(task, now) for task in list(self._waiting.values())])

    def _close(self, task: TaskState, now: float) -> bool:
        trusted = self._roster.trusted()
        if task.is_over or any(self._blame.may_try(worker, task) for worker in trusted):
            task.unseconded_since = None
            return False
        if task.unseconded_since is None:
            task.unseconded_since = now
            self._say(
                "audit",
                f"task {task.id} waits for another worker to compare with, "
                f"{self._alone_seconds:.0f} s at the most",
            )
        if now - task.unseconded_since < self._alone_seconds:
            return False
        del self._waiting[task.id]
        if len(task.votes) > 1:
            reason = (
                f"{_voters(task)} differ in the bits of a task, and no third was there to decide"
            )
            self._ledger.give_up(task, Failure("other", reason))
            return False
        (vote,) = task.votes.values()
        self._audit.missed += 1
        self._say("audit", f"task {task.id} is not compared: nobody else was there")
        self._blame.forget([task.id])
        self._ledger.finish(task, vote.result)
        return True


def _voters(task: TaskState) -> str:
    return " and ".join(str(vote.worker) for vote in task.votes.values())
