"""Tasks whose worker beats but does not come back."""

from collections.abc import Callable

from stillhouse.server.leases import Lease, TaskState, WorkerState
from stillhouse.server.ledger import Ledger
from stillhouse.server.pace import Pace, warned_after


class Overdue:
    """Warns of tasks that take long, and says which workers will not come back.

    Args:
        ledger: the tasks.
        pace: how long they usually take.
        say: told, by kind and message, what happens.
    """

    def __init__(self, ledger: Ledger, pace: Pace, say: Callable[[str, str], None]) -> None:
        self._ledger, self._pace, self._say = ledger, pace, say

    def is_late(self, task: TaskState, now: float) -> bool:
        """Return whether a task that is lent takes so long that another worker should have it."""
        return self._pace.is_late(task.record, task.runs(now), len(task.leases))

    def look_at(self, worker: WorkerState, now: float) -> tuple[Lease, str] | None:
        """Return the lease over which a worker is to be set aside, and the reason; None for none.

        Also a lease that has ended counts, since another worker was first, or it was taken away:
        as long as the worker names the task it computes it.
        """
        lease = worker.oldest
        if lease is None:
            return None
        seconds = now - lease.began
        task = self._ledger.get(lease.task_id)
        own = worker.seconds_for(lease.record)
        limit = self._pace.limit(lease.record, 0 if task is None else task.overruns, own)
        usual = self._pace.usual(lease.record)
        as_usual = "" if usual is None else f", where {usual:.3g} s are usual"
        if seconds > limit:
            reason = f"it does not come back from task {lease.task_id} in {seconds:.0f} s{as_usual}"
            return lease, reason
        if seconds > warned_after(limit) and not lease.warned:
            lease.warned = True
            self._say(
                "slow",
                f"{worker} has computed task {lease.task_id} for {seconds:.0f} s{as_usual}; after "
                f"{limit:.0f} s it is set aside",
            )
        return None


def forgive(worker: WorkerState, seconds: float, now: float) -> None:
    """Count seconds for which the server slept against nobody."""
    worker.seen = min(worker.seen + seconds, now)
    worker.free_since = min(worker.free_since + seconds, now)
    for lease in worker.leases():
        lease.since = min(lease.since + seconds, now)
        lease.deadline += seconds
