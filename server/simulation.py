"""What a run on many workers would take: the real scheduler, with workers and time made up."""

import collections
import dataclasses
import functools
import heapq
import itertools
from collections.abc import Callable, Mapping, Sequence

from stillhouse.server.leases import TaskRecord, WorkerInfo
from stillhouse.server.planned import PlannedTask
from stillhouse.server.scheduler import Scheduler

# One that is computed, and one that waits with its arrays at hand.
_HELD = 2


@dataclasses.dataclass(frozen=True)
class Simulation:
    """What came of it.

    Attributes:
        seconds: until the last result was gathered.
        busy_share: of all workers' time, what they spent computing.
        server_share: of the server's time, what it spent answering.
        bytes_down: arrays that were sent to workers.
        bytes_up: results that came back.
        fetches: shared arrays that were sent.
        leases: tasks that were lent, backups and what was lost with workers included.
        calls: all calls of workers.
    """

    seconds: float
    busy_share: float
    server_share: float
    bytes_down: int
    bytes_up: int
    fetches: int
    leases: int
    calls: int


def simulate(
    *passes: Sequence[PlannedTask],
    workers: int,
    seconds_per_unit: float,
    rpc_seconds: float = 2e-4,
    bytes_per_second: float = 2e8,
    cache_bytes: int = 2**30,
    speeds: Sequence[float] | None = None,
    lives: Sequence[float] | None = None,
) -> Simulation:
    """Play a run, call by call.

    The server answers one call at a time. A worker keeps the arrays it used last; while it computes
    a task, those of the next one come. One that dies says nothing.

    Args:
        *passes: the tasks of each pass; one begins when all results of the last are there.
        workers: how many there are, from the beginning.
        seconds_per_unit: of a worker of speed 1, for a unit of cost 1.
        rpc_seconds: what a call takes the server.
        bytes_per_second: what the server sends and takes.
        cache_bytes: of the shared arrays that a worker keeps.
        speeds: of each worker; None for 1.
        lives: after how many seconds each worker dies; None for never.

    Raises:
        ValueError: if `workers` is less than 1, or all die before the end.
    """
    if workers < 1:
        raise ValueError(f"`workers` must be 1 or more, got {workers}")
    play = _Play(passes, rpc_seconds, bytes_per_second)
    for number in range(workers):
        speed = 1.0 if speeds is None else speeds[number]
        dies = float("inf") if lives is None else lives[number]
        play.crew.append(_Worker(play, seconds_per_unit / speed, cache_bytes, dies))
    return play.run()


class _Play:
    """The stage: time, the server, and what is counted."""

    def __init__(
        self,
        passes: Sequence[Sequence[PlannedTask]],
        rpc_seconds: float,
        bytes_per_second: float,
    ) -> None:
        self.now = 0.0
        self.scheduler = Scheduler(lambda: self.now)
        self.tasks: dict[str, PlannedTask] = {}
        self.crew: list[_Worker] = []
        self.bytes_down = self.bytes_up = self.fetches = self.calls = 0
        self.busy = 0.0
        self._passes = list(passes)
        self._left: collections.deque[PlannedTask] = collections.deque()
        self._ahead: collections.deque[str] = collections.deque()
        self._free = self._answering = 0.0
        self._rpc_seconds, self._bytes_per_second = rpc_seconds, bytes_per_second
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._ended = False

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something done at a time."""
        heapq.heappush(self._events, (seconds, next(self._numbers), action))

    def call(self, down: int = 0, up: int = 0) -> float:
        """Call the server now, and return when its answer is there."""
        self.calls += 1
        self.bytes_down += down
        self.bytes_up += up
        seconds = self._rpc_seconds + (down + up) / self._bytes_per_second
        self._answering += seconds
        self._free = max(self._free, self.now) + seconds
        return self._free

    def gather(self) -> None:
        """Take what is done, and submit as many tasks as a pool would."""
        for _ in self.scheduler.gather(self._ahead):
            del self.tasks[self._ahead.popleft()]
        while not self._left and not self._ahead and not self._ended:
            if not self._passes:
                self._ended = True
            else:
                self._left.extend(self._passes.pop(0))
        room = min(self.scheduler.roster.tasks_ahead - len(self._ahead), len(self._left))
        planned = [self._left.popleft() for _ in range(room)]
        records = [TaskRecord(task.work, tuple(task.blobs), task.kind) for task in planned]
        for id, task in zip(self.scheduler.submit(records), planned, strict=True):
            self.tasks[id] = task
            self._ahead.append(id)

    def run(self) -> Simulation:
        for worker in self.crew:
            self.at(0.0, worker.join)
        self.gather()
        self._tick()
        while self._events and not self._ended:
            self.now, _, action = heapq.heappop(self._events)
            action()
        if not self._ended:
            raise ValueError("all workers die before the end: let some live longer")
        seconds = max(self.now, self._free, 1e-9)
        return Simulation(
            seconds,
            self.busy / (seconds * len(self.crew)),
            self._answering / seconds,
            self.bytes_down,
            self.bytes_up,
            self.fetches,
            self.scheduler.counts()["attempts"],
            self.calls,
        )

    def _tick(self) -> None:
        self.scheduler.tick()
        if any(self.now < worker.dies for worker in self.crew):
            self.at(self.now + self.scheduler.heartbeat / 2, self._tick)


class _Worker:
    """A worker, as far as the server can tell."""

    def __init__(self, play: _Play, seconds_per_unit: float, cache_bytes: int, dies: float) -> None:
        self.dies = dies
        self._play = play
        self._seconds_per_unit = seconds_per_unit
        self._cache_bytes, self._cached = cache_bytes, 0
        self._cache: collections.OrderedDict[str, int] = collections.OrderedDict()
        self._id = ""
        self._waiting: list[str] = []
        self._ready: collections.deque[str] = collections.deque()
        self._running = ""

    def join(self) -> None:
        self._id = self._play.scheduler.register(WorkerInfo())
        self._then(self._play.call(), self._lease)
        self._beat()

    def _then(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something at a time, if still alive."""
        if seconds < self.dies:
            self._play.at(seconds, action)

    def _beat(self) -> None:
        revoked = self._play.scheduler.renew(self._id, self._held())
        for id in revoked:
            if id in self._ready:
                self._ready.remove(id)
        self._play.call()
        self._then(self._play.now + self._play.scheduler.heartbeat, self._beat)

    def _held(self) -> list[str]:
        return [*self._waiting, *self._ready, *([self._running] if self._running else [])]

    def _lease(self) -> None:
        if not self._held():
            self._take(self._play.scheduler.lease(self._id, _HELD), up=0)

    def _take(self, ids: list[str], up: int) -> None:
        """Receive the answer to a call that lends tasks, and fetch what they need."""
        down = sum(self._play.tasks[id].bytes_down for id in ids)
        arrives = self._play.call(down, up)
        self._waiting += ids
        if ids:
            self._then(arrives, self._fetch)
        elif not self._held():
            self._then(arrives + self._play.scheduler.roster.idle_seconds, self._lease)

    def _fetch(self) -> None:
        """Fetch the arrays of the task that waits longest."""
        while self._waiting:
            task = self._play.tasks.get(self._waiting[0])
            missing = {} if task is None else self._missing(task.blobs)
            if missing:
                self._play.fetches += len(missing)
                self._then(self._play.call(sum(missing.values())), self._fetch)
                return
            self._ready.append(self._waiting.pop(0))
            self._start()

    def _missing(self, blobs: Mapping[str, int]) -> dict[str, int]:
        """Return what of these is not there, and have it from now on."""
        missing = {name: size for name, size in blobs.items() if name not in self._cache}
        for name, size in blobs.items():
            self._cache[name] = size
            self._cache.move_to_end(name)
        self._cached += sum(missing.values())
        while self._cached > self._cache_bytes:
            self._cached -= self._cache.popitem(last=False)[1]
        return missing

    def _start(self) -> None:
        while not self._running and self._ready:
            id = self._ready.popleft()
            task = self._play.tasks.get(id)
            if task is not None:  # Else another worker was first.
                self._running = id
                seconds = task.work * task.cost * self._seconds_per_unit
                self._then(self._play.now + seconds, functools.partial(self._finish, id, seconds))

    def _finish(self, id: str, seconds: float) -> None:
        task, play = self._play.tasks.get(id), self._play
        self._running = ""
        self._start()
        if task is None:
            self._lease()
            return
        if play.scheduler.complete(self._id, id, id) == "first":
            play.busy += seconds
        play.gather()
        self._take(play.scheduler.lease(self._id, _HELD - len(self._held())), up=task.bytes_up)
