"""Who computes which task, and what happens when they do not."""

import functools
from collections.abc import Callable, Collection, Iterable
from typing import Any

from stillhouse.server.audit import Audit
from stillhouse.server.blame import Blame
from stillhouse.server.jury import Jury
from stillhouse.server.leases import (
    Event,
    Failure,
    TaskRecord,
    TaskState,
    Vote,
    WorkerInfo,
    WorkerState,
)
from stillhouse.server.ledger import Ledger
from stillhouse.server.overdue import Overdue, forgive
from stillhouse.server.pace import Pace
from stillhouse.server.roster import Roster

# One heartbeat may be lost, and the next a little late, before its worker is taken to be dead.
_SILENT_HEARTBEATS = 1.75
# A lease whose worker has beaten twice since, and never named it.
_UNNAMED_HEARTBEATS = 2.0
_MOST_HELD = 8
_MOST_STRIKES = 3


class Scheduler:
    """Lends tasks to workers, until each is done once.

    A state machine: no threads, no input or output, no time but its clock's. How long an operation
    takes hardly depends on the number of tasks and workers, save for `tick`. A result depends on
    its task alone: a task may be lent twice, and the first result wins.

    Args:
        clock: tells the seconds; it may be set back.
        heartbeat: seconds between a worker's signs of life; it is lost if silent for 1.75 of them.
        lease_seconds: after which a lease ends that no heartbeat has named meanwhile.
        max_failures: how often a task may fail before it is given up, if others failed at it too.
        alone_seconds: how long a task that failed wherever it could waits for another worker.
        max_losses: how many workers may fall silent with a task before it is given up.
        backup_factor: how many times longer than others of its kind a task must take for an idle
            worker to be given it too; twice as long before yet another is.
        audit: counts what is compared of audited tasks; None where none are.
        task_limit: seconds after which a worker that does not come back from a task is given up;
            None for many times what others take.

    Attributes:
        heartbeat: as above.
        roster: the workers; for reading.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        heartbeat: float = 3.0,
        lease_seconds: float = 60.0,
        max_failures: int = 3,
        alone_seconds: float = 60.0,
        max_losses: int = 12,
        backup_factor: float = 3.0,
        task_limit: float | None = None,
        audit: Audit | None = None,
    ) -> None:
        self.heartbeat = heartbeat
        self._counts = {"done": 0, "retries": 0, "attempts": 0, "lost": 0}
        self._lease_seconds = lease_seconds
        self._max_losses = max_losses
        self._ledger = Ledger()
        self.roster = Roster(self._ledger.run)
        self._pace = Pace(backup_factor, task_limit)
        self._overdue = Overdue(self._ledger, self._pace, self._say)
        self._blame = Blame(self._ledger, self.roster, self._say, max_failures, alone_seconds)
        own = self._ledger, self.roster, self._blame, self._say
        self._jury = Jury(audit or Audit(), *own, self._expel, alone_seconds)
        self._events: list[Event] = []
        self._clock, self._reading = clock, clock()
        self._passed = self._ticked = 0.0

    @property
    def now(self) -> float:
        """The seconds that have passed: where the clock is set back, they go on from there."""
        last, self._reading = self._reading, self._clock()
        self._passed += max(self._reading - last, 0.0)
        return self._passed

    @property
    def queued(self) -> int:
        """How many tasks wait for a worker."""
        return len(self._ledger.queue)

    def counts(self) -> dict[str, int]:
        """Return how many tasks are in each state; attempts, retries, leases that were lost."""
        return {
            "queued": len(self._ledger.queue),
            "leased": sum(len(worker.held) for worker in self.roster.present()),
            **self._counts,
        }

    def submit(self, records: Iterable[TaskRecord]) -> list[str]:
        """Queue tasks behind all others, and return their ids."""
        return [self._ledger.add(record) for record in records]

    def gather(self, ids: Iterable[str]) -> list[Any]:
        """Take the results of these tasks in this order, up to the first that is not done."""
        return self._ledger.take(ids)

    def failure(self, ids: Collection[str]) -> Failure | None:
        """Return why one of these tasks was given up; None if none was."""
        return self._ledger.failure(ids)

    def cancel(self, ids: Iterable[str]) -> None:
        """Forget tasks; those who compute them learn of it by their next heartbeat."""
        ids = list(ids)
        self._blame.forget(ids)
        self._jury.forget(ids)
        self._ledger.cancel(ids)

    def register(self, info: WorkerInfo) -> str:
        """Take a worker in, and return its id."""
        worker = self.roster.join(info, self.now)
        self._say("joined", f"{worker} has joined with {info.device}")
        return worker.id

    def lease(self, worker_id: str, most: int = 1) -> list[str]:
        """Lend tasks to a worker, and return their ids.

        First those of which it holds the blobs already. Where fewer wait than there are workers, it
        gets none beside the one it computes, since another worker is free sooner. Where none wait,
        and it computes none, it gets another lease of the one that takes too long.

        Args:
            worker_id: the worker; one that is not live gets none.
            most: how many to lend.
        """
        worker = self.hear(worker_id)
        lent: list[str] = []
        while worker is not None and worker.state == "live" and len(lent) < most:
            task = self._next(worker)
            if task is None:
                break
            self._lend(task, worker)
            lent.append(task.id)
        return lent

    def news(self, worker_id: str, task_id: str) -> tuple[str, ...]:
        """Return the blobs of a task just lent that the worker is not likely to hold."""
        task = self._ledger.get(task_id)
        assert task is not None, "it was lent just now"
        return task.leases[worker_id].news

    def hear(self, worker_id: str) -> WorkerState | None:
        """Take a sign of life, and return the worker; None if it is not there."""
        worker = self.roster.get(worker_id)
        if worker is not None:
            worker.seen = self.now
        return worker

    def renew(self, worker_id: str, ids: Collection[str]) -> list[str]:
        """Extend the leases that a worker's heartbeat names, and return those it has not got.

        One that it does not name has not reached it, unless it was lent only just now. One that it
        has no more, since it was cut off for a while, it gets back if nobody else has it.
        """
        worker = self.hear(worker_id)
        if worker is None:
            return list(ids)
        for id, task in list(worker.held.items()):
            lease = task.leases[worker.id]
            if id in ids:
                lease.deadline = self.now + self._lease_seconds
            elif self.now - lease.since > _UNNAMED_HEARTBEATS * self.heartbeat:
                self._expire(task, worker)
        for id, lease in list(worker.owed.items()):
            if id not in ids and self.now - lease.since > _UNNAMED_HEARTBEATS * self.heartbeat:
                del worker.owed[id]
        for id in ids:
            if id not in worker.held:
                self._lend_again(id, worker)
        return [id for id in ids if id not in worker.held]

    def take_spoiled(self) -> str:
        """Return who was found to hand in wrong results since the last call; nobody is empty."""
        return self._jury.take_spoiled()

    def complete(self, worker_id: str, task_id: str, result: Any, digest: str = "") -> str:
        """Take a result, unless there is one: also of a lease that has ended, or a worker lost.

        Args:
            worker_id: the worker.
            task_id: the task.
            result: what it is.
            digest: of its bits, by which results of an audited task are compared.

        Returns:
            "first", also of an audited task that waits for a second one, "duplicate", or "unknown"
            where there never was such a task or worker, or the worker is in quarantine.
        """
        worker = self.hear(worker_id) or self.roster.get_lost(worker_id)
        if worker is None or worker.state == "quarantined":
            return "unknown"
        worker.owed.pop(task_id, None)
        task = self._ledger.get(task_id)
        if task is None or task.is_over:
            worker.free_since = self.now
            return "duplicate" if self._ledger.was_here(task_id) else "unknown"
        if task_id in worker.held:
            seconds = self.now - task.leases[worker.id].began
            self._pace.add(task.record, seconds)
            worker.count(task.record, seconds)
        worker.free_since, worker.failures = self.now, 0
        if task.record.audited:
            agreed = self._jury.hear(task, Vote(worker, digest, result))
            if agreed is None:
                return "first"
            result = agreed.result
        self._ledger.finish(task, result)
        worker.owed.pop(task_id, None)
        self._blame.forget([task_id])
        self._refute(task, worker)
        self._counts["done"] += 1
        return "first"

    def fail(self, worker_id: str, task_id: str, reason: str, kind: str = "other") -> bool:
        """Note that a worker could not compute a task, and return whether it was lent to it.

        Args:
            worker_id: the worker.
            task_id: the task.
            reason: what went wrong.
            kind: "value" where the arrays are at fault, "memory", or "other".
        """
        return self._fail(worker_id, task_id, Failure(kind, reason))

    def reject(self, worker_id: str, task_id: str, reason: str, kind: str = "other") -> None:
        """Note that what a worker handed in is no result; the task has failed there."""
        worker = self.roster.get(worker_id)
        if worker is None or not self._fail(worker_id, task_id, Failure(kind, reason), bad=True):
            return
        worker.bad_results += 1
        if worker.bad_results >= _MOST_STRIKES and worker.state == "live":
            self._quarantine(worker, f"{worker.bad_results} results were of no use: {reason}")

    def leave(self, worker_id: str) -> None:
        """Let a worker go; what it holds is queued again."""
        worker = self.roster.get(worker_id)
        if worker is None:
            return
        self._take_all_back(worker)
        if worker.state == "quarantined":
            self.roster.lose(worker)  # A status goes on to say why.
        else:
            self.roster.remove(worker)
        self._say("left", f"{worker} has left")

    def worker_lost(self, worker_id: str, reason: str) -> None:
        """Give a worker up; what it holds is queued again."""
        worker = self.roster.get(worker_id)
        if worker is None:
            return
        self._say("lost", f"{worker} is lost with {len(worker.held)} tasks: {reason}")
        for task in list(worker.held.values()):
            self._lose(task, worker, f"{worker} was lost: {reason}")
        self.roster.lose(worker)

    def tick(self) -> list[Event]:
        """Give up who is silent and end leases that are over; call it about once a heartbeat.

        Returns:
            What has happened since the last call, for the log.
        """
        now = self.now
        # While the server itself slept it heard nobody, for which no worker is to blame.
        slept = max(now - self._ticked - self.heartbeat, 0.0)
        self._ticked = now
        for worker in self.roster.present():
            if slept:
                forgive(worker, slept, now)
            silent = now - worker.seen
            if silent > _SILENT_HEARTBEATS * self.heartbeat:
                self.worker_lost(worker.id, f"silent for {silent:.1f} s")
                continue
            if not worker.held and not worker.owed:
                continue  # Of thousands that wait none is looked at for long.
            for task in list(worker.held.values()):
                if now > task.leases[worker.id].deadline:
                    self._expire(task, worker)
            if worker.state == "live" and (overdue := self._overdue.look_at(worker, now)):
                self._set_aside(worker, overdue[0].task_id, overdue[1])
        self._blame.judge_all(now)
        self._counts["done"] += self._jury.close_overdue(now)
        return self.take_events()

    def take_events(self) -> list[Event]:
        """Return what has happened since the last call, for the log."""
        events, self._events = self._events, []
        return events

    def _lend(self, task: TaskState, worker: WorkerState) -> None:
        self._ledger.lend(task, worker, self.now, self.now + self._lease_seconds)
        self._counts["attempts"] += 1

    def _lend_again(self, task_id: str, worker: WorkerState) -> None:
        task = self._ledger.get(task_id)
        if task is None or worker.state != "live" or len(worker.held) >= _MOST_HELD:
            return
        if self._blame.may_try(worker, task) and self._ledger.queue.remove(task):
            self._lend(task, worker)

    def _next(self, worker: WorkerState) -> TaskState | None:
        """Take what a worker is to be lent next out of the queue, or have it once more."""
        queue = self._ledger.queue
        if len(worker.held) >= _MOST_HELD or (worker.held and len(queue) < self.roster.live):
            return None
        task = queue.pop_nearest(functools.partial(self._blame.may_try, worker), worker.blobs)
        if task is not None or worker.held:
            return task
        task = self._ledger.longest(functools.partial(self._may_back_up, worker), self.now)
        if task is not None:
            others = ", ".join(str(lease.worker) for lease in task.leases.values())
            self._say("backup", f"task {task.id} takes {others} too long: {worker} does it too")
        return task

    def _may_back_up(self, worker: WorkerState, task: TaskState) -> bool:
        if worker.id in task.leases or not self._blame.may_try(worker, task):
            return False
        return self._overdue.is_late(task, self.now)

    def _set_aside(self, worker: WorkerState, task_id: str, reason: str) -> None:
        """Give up a worker that beats but does not come back from a task."""
        task = worker.held.get(task_id)
        if task is not None:
            task.overruns += 1
            self._lose(task, worker, f"{worker}: {reason}")
        self._quarantine(worker, reason)

    def _fail(self, worker_id: str, task_id: str, failure: Failure, *, bad: bool = False) -> bool:
        """Note a failure, and return whether the task was lent to the worker."""
        worker = self.hear(worker_id)
        if worker is None or task_id not in worker.held:
            return False
        task = worker.held[task_id]
        self._blame.note(task, worker, failure)
        self._say("failed", f"{worker} could not compute task {task_id}: {failure.reason}")
        self._take_back(task, worker)
        del worker.owed[task_id]
        worker.free_since = self.now
        # Where arrays are said to be at fault, it shows when another worker can compute them.
        worker.failures += failure.kind != "value"
        if worker.failures >= _MOST_STRIKES:
            reason = f"{worker.failures} tasks in a row failed there: {failure.reason}"
            self._quarantine(worker, reason)
        # That arrays are at fault is believed of one who has computed others.
        believed = failure.kind == "value" and bool(worker.work) and not bad
        self._blame.judge(task, self.now, believed=believed)
        return True

    def _take_back(self, task: TaskState, worker: WorkerState) -> None:
        self._counts["retries"] += self._ledger.take_back(task, worker)

    def _take_all_back(self, worker: WorkerState) -> None:
        for task in list(worker.held.values()):
            self._take_back(task, worker)

    def _expire(self, task: TaskState, worker: WorkerState) -> None:
        seconds = self.now - task.leases[worker.id].since
        reason = f"{worker} has had it for {seconds:.1f} s and does not name it"
        self._say("expired", f"the lease of task {task.id} is over: {reason}")
        self._lose(task, worker, reason)

    def _lose(self, task: TaskState, worker: WorkerState, reason: str) -> None:
        self._take_back(task, worker)
        self._counts["lost"] += 1
        task.losses += 1
        if task.losses >= self._max_losses and not task.leases:
            reason = f"lent {task.losses} times with no answer; the last time, {reason}"
            self._ledger.give_up(task, Failure("other", reason))

    def _refute(self, task: TaskState, by: WorkerState) -> None:
        """Count against workers that they found fault with arrays which another one computed."""
        if task.trouble is None or task.trouble.kind != "value":
            return
        for worker in task.failed_on.values():
            worker.bad_results += worker is not by
            if worker.bad_results >= _MOST_STRIKES and worker.state == "live":
                self._quarantine(worker, f"others can what fails there: {task.trouble.reason}")

    def _expel(self, worker: WorkerState, reason: str) -> None:
        """Set aside a worker that others have proved wrong, though it may be lost by now."""
        if worker.state == "live":
            self._quarantine(worker, reason)
            return
        worker.state, worker.reason = "quarantined", reason
        self._say("quarantined", f"{worker} gets no more tasks: {reason}")

    def _quarantine(self, worker: WorkerState, reason: str) -> None:
        self._take_all_back(worker)
        self.roster.quarantine(worker, reason)
        self._say("quarantined", f"{worker} gets no more tasks: {reason}")

    def _say(self, kind: str, message: str) -> None:
        self._events.append(Event(kind, message))
