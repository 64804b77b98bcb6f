"""The workers that are there, and the last ones that were."""

import collections
import itertools

from stillhouse.server.leases import WorkerInfo, WorkerState

_LOST_REMEMBERED = 256
_FEWEST_AHEAD = 32
_AHEAD_PER_WORKER = 4


class Roster:
    """Keeps workers by their id.

    Args:
        run: what ids end with; an earlier server's are never taken for its own.

    Attributes:
        live: how many workers there are, without those in quarantine.
    """

    def __init__(self, run: str) -> None:
        self.live = 0
        self._run = run
        self._workers: dict[str, WorkerState] = {}
        self._lost: collections.OrderedDict[str, WorkerState] = collections.OrderedDict()
        self._numbers = itertools.count(1)

    def present(self) -> list[WorkerState]:
        """Return the workers that are there, those in quarantine too."""
        return list(self._workers.values())

    def all(self) -> list[WorkerState]:
        """Return the workers that are there, and behind them the last ones that were lost."""
        return [*self._workers.values(), *self._lost.values()]

    def trusted(self) -> list[WorkerState]:
        """Return the workers that are there and live."""
        return [worker for worker in self._workers.values() if worker.state == "live"]

    @property
    def idle_seconds(self) -> float:
        """After how long a worker with nothing to do had best ask again, the server not drowned."""
        return 0.02 + 0.0005 * self.live

    @property
    def tasks_ahead(self) -> int:
        """How many tasks to have in the scheduler, whose results are still to be gathered.

        Enough that nobody is idle, and no more, since results that are ahead wait in memory.
        """
        return max(_FEWEST_AHEAD, _AHEAD_PER_WORKER * self.live)

    def join(self, info: WorkerInfo, now: float) -> WorkerState:
        """Take a worker in."""
        worker = WorkerState(f"w{next(self._numbers)}-{self._run}", info, now)
        self._workers[worker.id] = worker
        self.live += 1
        return worker

    def get(self, worker_id: str) -> WorkerState | None:
        """Return a worker that is there."""
        return self._workers.get(worker_id)

    def get_lost(self, worker_id: str) -> WorkerState | None:
        """Return one of the last workers that were lost."""
        return self._lost.get(worker_id)

    def quarantine(self, worker: WorkerState, reason: str) -> None:
        """Trust a live worker no longer."""
        self.live -= 1
        worker.state, worker.reason = "quarantined", reason

    def remove(self, worker: WorkerState) -> None:
        """Let a worker go."""
        del self._workers[worker.id]
        self.live -= worker.state == "live"

    def lose(self, worker: WorkerState) -> None:
        """Let a worker go, but remember it: it may only have been cut off for a while."""
        self.remove(worker)
        worker.state = "lost" if worker.state == "live" else worker.state
        self._lost[worker.id] = worker
        while len(self._lost) > _LOST_REMEMBERED:
            self._lost.popitem(last=False)
