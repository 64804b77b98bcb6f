"""What a run on many workers would take: the real scheduler, with workers and time made up."""

import collections
import dataclasses
import functools
import heapq
import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence

from stillhouse.server.blobs import MOST_ENCLOSED_BYTES
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
        server_share: of the time of the server's thread that has most to do, what it had.
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
    poll_seconds: float | None = None,
    bytes_per_second_up: float | None = None,
    byte_threads: int = 0,
) -> Simulation:
    """Play a run, call by call.

    The server answers one call at a time, save for its bytes, where threads move them. A worker
    keeps the arrays it used last; while it computes a task, those of the next one come. One that
    dies says nothing.

    Args:
        *passes: the tasks of each pass; one begins when all results of the last are there.
        workers: how many there are, from the beginning.
        seconds_per_unit: of a worker of speed 1, for a unit of cost 1.
        rpc_seconds: what a call takes the server.
        bytes_per_second: what a thread of the server sends; and takes, unless that is said too.
        cache_bytes: of the shared arrays that a worker keeps.
        speeds: of each worker; None for 1.
        lives: after how many seconds each worker dies; None for never.
        poll_seconds: for how long the server keeps the call of a worker for whom there is nothing,
            unless there is before; they all wait so at the beginning, as between two steps. None
            where it answers at once; then they come at the beginning.
        bytes_per_second_up: what a thread of the server takes in, checks and adds.
        byte_threads: how many do so beside each other; 0 for the one that answers calls.

    Raises:
        ValueError: if `workers` is less than 1, or all die before the end.
    """
    if workers < 1:
        raise ValueError(f"`workers` must be 1 or more, got {workers}")
    rates = bytes_per_second, bytes_per_second_up or bytes_per_second
    play = _Play(passes, _Server(rpc_seconds, rates, byte_threads), poll_seconds)
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
        server: "_Server",
        poll_seconds: float | None,
    ) -> None:
        self.now = 0.0
        self.poll_seconds = poll_seconds
        # Those whose call the server keeps, the one that waits longest first.
        self.idle: dict[_Worker, None] = {}
        self.scheduler = Scheduler(lambda: self.now)
        self.tasks: dict[str, PlannedTask] = {}
        self.crew: list[_Worker] = []
        self.bytes_down = self.bytes_up = self.fetches = self.calls = 0
        self.busy = 0.0
        self._passes = list(passes)
        self._left: collections.deque[PlannedTask] = collections.deque()
        self._ahead: collections.deque[str] = collections.deque()
        # By numbers, as a pool has them.
        self._kinds: dict[Hashable, int] = collections.defaultdict(itertools.count().__next__)
        self._server = server
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
        return self._server.answer(self.now, down, up)

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
        records = [
            TaskRecord(task.work, tuple(task.blobs), self._kinds[task.kind]) for task in planned
        ]
        for id, task in zip(self.scheduler.submit(records), planned, strict=True):
            self.tasks[id] = task
            self._ahead.append(id)
        for _ in range(min(len(self.idle), len(planned))):
            # Those that came last still hold what they computed last.
            self.idle.popitem()[0].wake()

    def run(self) -> Simulation:
        for number, worker in enumerate(self.crew):
            worker.join(self.scheduler.heartbeat * number / len(self.crew))
        self.gather()
        self._tick()
        while self._events and not self._ended:
            self.now, _, action = heapq.heappop(self._events)
            action()
        if not self._ended:
            raise ValueError("all workers die before the end: let some live longer")
        seconds = max(self.now, self._server.free, 1e-9)
        return Simulation(
            seconds,
            self.busy / (seconds * len(self.crew)),
            self._server.busy / seconds,
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


class _Server:
    """When it has answered.

    Attributes:
        free: when it has answered all calls so far.
    """

    def __init__(self, rpc_seconds: float, rates: tuple[float, float], byte_threads: int) -> None:
        self._rpc_seconds, self._rates = rpc_seconds, rates
        self._calling = 0.0
        self._moving = [0.0] * byte_threads
        self._called = self._moved = 0.0

    @property
    def free(self) -> float:
        return max(self._calling, *self._moving, 0.0)

    @property
    def busy(self) -> float:
        """Seconds that its busiest thread has worked, if those that move bytes share them."""
        return max(self._called, self._moved / max(len(self._moving), 1))

    def answer(self, now: float, down: int, up: int) -> float:
        """Take a call, and return when it is answered."""
        moving = down / self._rates[0] + up / self._rates[1]
        calling = self._rpc_seconds + (0.0 if self._moving else moving)
        self._calling = max(self._calling, now) + calling
        self._called += calling
        if not (moving and self._moving):
            return self._calling
        self._moved += moving
        first = self._moving.index(min(self._moving))
        self._moving[first] = max(self._moving[first], self._calling) + moving
        return self._moving[first]


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

    def join(self, beats: float) -> None:
        """Register; where the server keeps calls that was before, and so was the first call.

        Args:
            beats: when to beat first.
        """
        self._id = self._play.scheduler.register(WorkerInfo())
        if self._play.poll_seconds is None:
            self._then(self._play.call(), self.ask)
        else:
            self._wait(self._play.now)
        self._then(beats, self._beat)

    def _then(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something at a time, if still alive."""
        if seconds < self.dies:
            self._play.at(seconds, action)

    def _beat(self) -> None:
        revoked = self._play.scheduler.renew(self._id, self._held())
        for id in revoked:
            if id in self._ready:
                self._ready.remove(id)
        # Of one that waits, the call that the server keeps is the sign of life.
        if self._held() or self._play.poll_seconds is None:
            self._play.call()
        self._then(self._play.now + self._play.scheduler.heartbeat, self._beat)

    def _held(self) -> list[str]:
        return [*self._waiting, *self._ready, *([self._running] if self._running else [])]

    def wake(self) -> None:
        """Have the answer to a call that was kept."""
        self._then(self._play.now, self.ask)

    def ask(self) -> None:
        """Ask for tasks, if there are none here."""
        if not self._held():
            self._take(self._play.scheduler.lease(self._id, _HELD), up=0)

    def _take(self, ids: list[str], up: int) -> None:
        """Receive the answer to a call that lends tasks, and fetch what they need."""
        tasks = [self._play.tasks[id] for id in ids]
        down = sum(task.bytes_down for task in tasks)
        for task in tasks:
            small = {n: size for n, size in task.blobs.items() if size <= MOST_ENCLOSED_BYTES}
            down += sum(self._missing(small).values())
        arrives = self._play.call(down, up)
        self._waiting += ids
        if ids:
            self._then(arrives, self._fetch)
        elif not self._held():
            self._wait(arrives)

    def _wait(self, arrives: float) -> None:
        """Ask again, or be kept waiting by the server."""
        if self._play.poll_seconds is None:
            self._then(arrives + self._play.scheduler.roster.idle_seconds, self.ask)
            return
        self._play.idle[self] = None
        self._then(arrives + self._play.poll_seconds, self._stop_waiting)

    def _stop_waiting(self) -> None:
        if self in self._play.idle:
            del self._play.idle[self]
            self.ask()

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
            self.ask()
            return
        if play.scheduler.complete(self._id, id, id) == "first":
            play.busy += seconds
        play.gather()
        self._take(play.scheduler.lease(self._id, _HELD - len(self._held())), up=task.bytes_up)
