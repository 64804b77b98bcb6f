"""What the scheduler knows: tasks, workers, and who has been lent what."""

import collections
import dataclasses
from collections.abc import Hashable
from typing import Any

# Blobs that a worker is taken to hold still; a wrong guess only costs a fetch.
_BLOBS_REMEMBERED = 1024


@dataclasses.dataclass(frozen=True)
class TaskRecord:
    """What of a task matters to whoever plans.

    Attributes:
        work: how many work units it is.
        blobs: the hashes of what a worker must hold to compute it.
        kind: tasks of one kind cost the same for each unit.
        unit: what the units are.
        audited: whether two workers must have the same result.
    """

    work: int
    blobs: tuple[str, ...] = ()
    kind: Hashable = ""
    unit: str = ""
    audited: bool = False


@dataclasses.dataclass(frozen=True)
class WorkerInfo:
    """Who a worker says that it is.

    Attributes:
        host: its machine.
        pid: its process.
        device: what computes, such as "cpu" or "gpu:0".
        kind: by what backend, and on what model of a device.
    """

    host: str = ""
    pid: int = 0
    device: str = "cpu"
    kind: str = ""


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why a task failed for good.

    Attributes:
        kind: "value" where the arrays are at fault, "memory", or "other".
        reason: the last worker's.
    """

    kind: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened, for the log.

    Attributes:
        kind: "joined", "left", "lost", "expired", "backup", "slow", "failed", "alone", "audit" or
            "quarantined".
        message: what, to whom, and why.
    """

    kind: str
    message: str

    @property
    def is_trouble(self) -> bool:
        """Whether something went wrong."""
        return self.kind not in ("joined", "left", "backup")


@dataclasses.dataclass
class Lease:
    """A task's loan to a worker.

    Attributes:
        task_id, record: what is lent.
        worker: whom it is lent to.
        since: when it was lent.
        deadline: when it ends, unless a heartbeat names the task before.
        news: the blobs that the worker was not likely to hold.
        warned: whether the log has said that it takes long.
    """

    task_id: str
    record: TaskRecord
    worker: "WorkerState"
    since: float
    deadline: float
    news: tuple[str, ...] = ()
    warned: bool = False

    @property
    def began(self) -> float:
        """When the worker began to compute it, since it computes one at a time."""
        return max(self.since, self.worker.free_since)


@dataclasses.dataclass(frozen=True, eq=False)
class Vote:
    """What a worker says that the result of an audited task is.

    Attributes:
        worker: who.
        digest: of the bits,
        result: and these.
    """

    worker: "WorkerState"
    digest: str
    result: Any


@dataclasses.dataclass(eq=False)
class TaskState:
    """A task from its submission until its result is taken.

    It is done, or failed, or has leases, or is queued: exactly one of these.

    Attributes:
        id: its name.
        number: its place in the order of all tasks.
        record: what it is.
        leases: by worker id; several, where some are backups of the first.
        failed_on: the workers on which it failed, by their id.
        failures: how often it failed.
        trouble: how it failed last.
        alone_since: since when it waits for another worker than the one it failed on.
        losses: how many of its leases ended with no word from the worker.
        overruns: how many workers were given up, since they did not come back from it.
        votes: what workers had as its result, by their id, where it is audited.
        unseconded_since: since when there is nobody to compare these with.
        done: whether `result` is there.
        result: what the first worker handed in.
        failure: why it will not be tried again; None if it will.
    """

    id: str
    number: int
    record: TaskRecord
    leases: dict[str, Lease] = dataclasses.field(default_factory=dict)
    failed_on: dict[str, "WorkerState"] = dataclasses.field(default_factory=dict)
    failures: int = 0
    trouble: Failure | None = None
    alone_since: float | None = None
    losses: int = 0
    overruns: int = 0
    votes: dict[str, Vote] = dataclasses.field(default_factory=dict)
    unseconded_since: float | None = None
    done: bool = False
    result: Any = None
    failure: Failure | None = None

    def has_result_of(self, worker: "WorkerState") -> bool:
        """Return whether a worker, or the same process under another id, has had its vote."""
        if worker.id in self.votes:
            return True
        process = worker.info.host, worker.info.pid
        return any((v.worker.info.host, v.worker.info.pid) == process for v in self.votes.values())

    @property
    def is_over(self) -> bool:
        """Whether nobody need compute it any more."""
        return self.done or self.failure is not None

    def runs(self, now: float) -> float:
        """Return for how long a task that is lent has been computed."""
        return now - min(lease.began for lease in self.leases.values())


@dataclasses.dataclass(eq=False)
class WorkerState:
    """A worker from its registration on.

    Attributes:
        id: its name.
        info: who it says that it is.
        seen: when it was last heard of.
        state: "live", "quarantined" or "lost".
        reason: why it is in quarantine.
        held: the tasks lent to it, the oldest first.
        owed: the leases that have ended, by task, of what it may still compute: its heartbeats
            name the task.
        blobs: what it is likely to hold, the latest last.
        free_since: when it last ended a task.
        attempts: how many tasks it was lent.
        bad_results: how many of its results could not be used, or were none, though another worker
            had one.
        failures: how many tasks have failed since its last result.
        work: the units that it has done, by what they are,
        seconds: and in which time.
    """

    id: str
    info: WorkerInfo
    seen: float
    state: str = "live"
    reason: str = ""
    held: dict[str, TaskState] = dataclasses.field(default_factory=dict)
    owed: dict[str, Lease] = dataclasses.field(default_factory=dict)
    blobs: collections.OrderedDict[str, None] = dataclasses.field(
        default_factory=collections.OrderedDict
    )
    free_since: float = 0.0
    attempts: int = 0
    bad_results: int = 0
    failures: int = 0
    work: dict[str, int] = dataclasses.field(default_factory=dict)
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        return f"worker {self.id} ({self.info.host}:{self.info.pid})"

    @property
    def speeds(self) -> dict[str, float]:
        """How many units of each sort it has done in a second, while it computed such."""
        return {u: work / self.seconds[u] for u, work in self.work.items() if self.seconds[u]}

    def leases(self) -> list[Lease]:
        """Return the leases of what it has or may still compute."""
        return [*self.owed.values(), *(task.leases[self.id] for task in self.held.values())]

    @property
    def oldest(self) -> Lease | None:
        """The lease of what it computes; None if it has nothing to do."""
        return min(self.leases(), key=lambda lease: lease.began, default=None)

    def seconds_for(self, record: TaskRecord) -> float:
        """Return what a task would take it, by what it has done of such units; 0 if nothing."""
        speed = self.speeds.get(record.unit)
        return record.work / speed if speed else 0.0

    def count(self, record: TaskRecord, seconds: float) -> None:
        """Note what it has done, and how long that took."""
        self.work[record.unit] = self.work.get(record.unit, 0) + record.work
        self.seconds[record.unit] = self.seconds.get(record.unit, 0.0) + seconds

    def describe(self, now: float) -> dict[str, Any]:
        """Return what there is to say of it, for a status."""
        idle_or_busy = "busy" if self.held else "idle"
        return {
            "id": self.id,
            **dataclasses.asdict(self.info),
            "state": idle_or_busy if self.state == "live" else self.state,
            "reason": self.reason,
            "speeds": {unit: round(speed, 1) for unit, speed in self.speeds.items()},
            "work": dict(self.work),
            "attempts": self.attempts,
            "last_seen": round(now - self.seen, 3),
        }

    def holds(self, blobs: tuple[str, ...]) -> None:
        """Note that it has these blobs, and uses them."""
        for blob in blobs:
            self.blobs[blob] = None
            self.blobs.move_to_end(blob)
        while len(self.blobs) > _BLOBS_REMEMBERED:
            self.blobs.popitem(last=False)
