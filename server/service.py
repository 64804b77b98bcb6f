"""The server as workers see it: methods of plain values, whatever carries them."""

import collections
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from stillhouse.data.wire import pack
from stillhouse.methods.computing_kind import computing_kind
from stillhouse.methods.programs import program_to_json
from stillhouse.methods.tasks import PROTOCOL
from stillhouse.server import requests
from stillhouse.server.audit import Audit
from stillhouse.server.device_kinds import DeviceKinds
from stillhouse.server.leases import WorkerInfo
from stillhouse.server.pool import Offer, WorkerPool
from stillhouse.server.requests import Answer, Refusal, answers
from stillhouse.server.schedule import Progress

_MOST_LEASED = 8
_MOST_NAMED = 1024
_MOST_FETCHED = 64
# Of a network, the weights of each layer.
_MOST_RESULTS = 4096
_MOST_WORKERS = 10_000
_FAILURES = ("value", "memory", "other")
# What a worker must be ready to take, and may send, as one array.
_MAX_BYTES = 2**30
# Steps whose time says how long the others will take.
_RECENT_STEPS = 20
_VALUES = ("loss", "accuracy", "test_accuracy")


class Service:
    """Answers workers, and whoever wants to know how the run is doing.

    Methods take and return None, int, float, str, bytes, and lists and dicts of them; arrays are
    bytes of `stillhouse.data.wire`. Any argument at all gets an answer: where it makes no sense,
    {"status": "refused", "reason": ...}, and nothing else happens. Calls may be repeated. A worker
    that is answered "unknown" registers again; one that is answered "stop" ends.

    Args:
        pool: lends the tasks.
        config: what workers are told of the run: "version", "config_hash", "backend", "summary".
        kinds: says which kinds of device may compute; None for the kind of the first worker.
        audit: what of the results is compared; None for nothing.
        clock: tells the seconds.

    Attributes:
        kinds: which have computed, and may.
        audit: the one given.
        traffic: the bytes of arrays that went "down" to workers and came "up".
        step_seconds: how long the last step took; None before there was one.
    """

    def __init__(
        self,
        pool: WorkerPool,
        config: dict[str, Any],
        kinds: DeviceKinds | None = None,
        audit: Audit | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._config = dict(config)
        self.kinds = kinds or DeviceKinds()
        self.audit = audit or Audit()
        self._counting = threading.Lock()
        self.traffic = {"down": 0, "up": 0}
        self.step_seconds: float | None = None
        self._clock = clock
        self._progress = Progress(0, 0, {})
        self._values: dict[str, float | None] = dict.fromkeys(_VALUES)
        self._steps: collections.deque[tuple[float, int]] = collections.deque(maxlen=_RECENT_STEPS)

    @property
    def heartbeat_seconds(self) -> float:
        """The seconds between a worker's signs of life."""
        return self._pool.heartbeat

    @property
    def has_news(self) -> bool:
        """Whether a worker that waits for tasks should ask: some wait too, or none will come."""
        return self._pool.queued > 0 or self._pool.is_closed

    def hear(self, workers: Sequence[str]) -> list[str]:
        """Take signs of life of workers that wait for tasks, and return those to be answered."""
        return self._pool.hear(workers)

    def on_work(self, call: Callable[[], None] | None) -> None:
        """Have this called whenever there is news; see `WorkerPool.on_work`."""
        self._pool.on_work(call)

    @answers
    def register(self, info: Any) -> Answer:
        """Take a worker in.

        Args:
            info: "version", "protocol", "host", "pid", "device", the models that are its
                "device_kind" and "processor", the "traits" that decide its bits, by name, "backend"
                (empty for the run's), and "config_hash" (empty for any run's).

        Returns:
            Its id as "worker", the seconds between heartbeats as "heartbeat", the run, and the
            most bytes of an array as "max_bytes".
        """
        worker = self._checked(requests.table("info", info))
        if self._pool.is_closed:
            return {"status": "stop"}
        return {
            "status": "ok",
            "worker": self._pool.register(worker),
            "heartbeat": self._pool.heartbeat,
            "run": dict(self._config),
            "max_bytes": _MAX_BYTES,
        }

    @answers
    def lease(self, worker: Any, most: Any) -> Answer:
        """Lend up to `most` tasks.

        Returns:
            "tasks", and the seconds to "wait" where there are none: each task has "id", "program"
            (JSON), the hashes of its "shared" arrays, those of them that are "enclosed" by their
            hash, its "own" arrays and its "work". Others are for `fetch`.
        """
        worker = requests.name("worker", worker)
        return self._lease(worker, requests.count("most", most, _MOST_LEASED))

    @answers
    def fetch(self, worker: Any, hashes: Any) -> Answer:
        """Return "blobs", by their hashes; one that is missing belongs to no task any more."""
        worker = requests.name("worker", worker)
        names = requests.names("hashes", hashes, _MOST_FETCHED)
        blobs = self._pool.fetch(worker, names)
        self._count("down", blobs.values())
        return {"status": "ok", "blobs": blobs}

    @answers
    def complete(self, worker: Any, task: Any, results: Any, seconds: Any, most: Any) -> Answer:
        """Take the results of a task, and lend up to `most` others.

        Args:
            worker: its id.
            task: the task's.
            results: the arrays.
            seconds: how long it took.
            most: as in `lease`.

        Returns:
            What `lease` does; and "accepted", whether the results were the "first" of the task, a
            "duplicate", "bad", or those of an "unknown" task.
        """
        worker, task = requests.name("worker", worker), requests.name("task", task)
        packed = requests.chunks("results", results, _MOST_RESULTS)
        requests.seconds("seconds", seconds)
        self._count("up", packed)
        most = requests.count("most", most, _MOST_LEASED)
        accepted = self._pool.complete(worker, task, packed)
        if accepted == "first" and not self.kinds.all_computed:
            self.kinds.count(self._pool.info(worker).kind)
        return {**self._lease(worker, most), "accepted": accepted}

    @answers
    def fail(self, worker: Any, task: Any, kind: Any, reason: Any) -> Answer:
        """Take note that a task could not be computed.

        Args:
            worker: its id.
            task: the task's.
            kind: "value" where the arrays are at fault, "memory", or "other".
            reason: what went wrong, for people.
        """
        worker, task = requests.name("worker", worker), requests.name("task", task)
        kind = requests.choice("kind", kind, _FAILURES)
        self._pool.fail(worker, task, requests.reason("reason", reason), kind)
        return self._standing(worker)

    @answers
    def heartbeat(self, worker: Any, tasks: Any, stats: Any) -> Answer:
        """Take a sign of life.

        Args:
            worker: its id.
            tasks: the ids of the tasks that it holds.
            stats: what it has done so far, for people.

        Returns:
            As "revoked" those of the tasks that it need not compute.
        """
        worker = requests.name("worker", worker)
        tasks = requests.names("tasks", tasks, _MOST_NAMED)
        requests.table("stats", stats)
        revoked = self._pool.renew(worker, tasks)
        standing = self._standing(worker)
        return {**standing, "revoked": revoked} if standing["status"] == "ok" else standing

    @answers
    def leave(self, worker: Any) -> Answer:
        """Let a worker go; its tasks go to others."""
        self._pool.leave(requests.name("worker", worker))
        return {"status": "ok"}

    @answers
    def status(self) -> Answer:
        """Return how the run is doing: its step and scores, what computes it, tasks and workers."""
        return {
            "status": "ok",
            "run": dict(self._config),
            "computed_by": list(self.kinds.computed),
            "audit": self.audit.describe(),
            "step": self._progress.step,
            "steps": self._progress.steps,
            **self._values,
            "seconds_left": self._seconds_left() if self._pool.live else None,
            "tasks": self._pool.counts(),
            "work": dict(self._pool.work),
            "traffic": dict(self.traffic),
            "step_seconds": self.step_seconds,
            "workers": self._pool.workers(),
        }

    def report(self, progress: Progress) -> None:
        """Note the progress of the run, for `status`."""
        now = self._clock()
        if self._steps and progress.step > self._steps[-1][1]:
            since, step = self._steps[-1]
            self.step_seconds = (now - since) / (progress.step - step)
        self._progress = progress
        self._steps.append((now, progress.step))
        known = {name: float(progress.values[name]) for name in _VALUES if name in progress.values}
        self._values = {**self._values, **known}

    def _lease(self, worker: str, most: int) -> Answer:
        standing = self._standing(worker)
        if standing["status"] != "ok":
            return standing
        offers = self._pool.lease(worker, most)
        wait = 0.0 if offers else self._pool.idle_seconds()
        tasks = [_message(offer) for offer in offers]
        for task in tasks:
            self._count("down", (*task["own"], *task["enclosed"].values()))
        return {"status": "ok", "tasks": tasks, "wait": wait}

    def _count(self, way: str, packed: Iterable[bytes]) -> None:
        with self._counting:
            self.traffic[way] += sum(map(len, packed))

    def _standing(self, worker: str) -> Answer:
        """Return the answer to a worker that wants nothing in particular."""
        if self._pool.is_closed:
            return {"status": "stop"}
        state, reason = self._pool.state(worker)
        if state == "quarantined":
            return {"status": state, "reason": reason}
        return {"status": "ok" if state == "live" else "unknown"}

    def _seconds_left(self) -> float | None:
        if len(self._steps) < 2:
            return None
        (began, first), (ended, last) = self._steps[0], self._steps[-1]
        if last <= first:
            return None
        return round((ended - began) / (last - first) * (self._progress.steps - last), 1)

    def _checked(self, info: dict[Any, Any]) -> WorkerInfo:
        """Return who a worker is, if it may compute beside the others of this run."""
        given = {
            name: requests.name(name, info.get(name, ""))
            for name in (
                *("version", "host", "device", "device_kind", "processor"),
                *("backend", "config_hash"),
            )
        }
        for name, what in (("version", "release of stillhouse"), ("config_hash", "configuration")):
            ours, theirs = self._config[name], given[name]
            if theirs != ours and (theirs or name == "version"):
                raise Refusal(
                    f"the run's {what} is {ours}, this worker's {theirs or 'none'}: give both the "
                    "same"
                )
        protocol = requests.count("protocol", info.get("protocol"), 2**31)
        if protocol != PROTOCOL:
            raise Refusal(f"the server speaks protocol {PROTOCOL}, this worker {protocol}")
        run, device = self._config["backend"], given["device"]
        backend = given["backend"] or run
        if backend != run and not self.kinds.any_device:
            raise Refusal(
                f"the run computes by {run}, this worker by {backend}, whose results differ in the "
                "last bits: give both the same backend, or start the run with --any_device"
            )
        if backend == "fused" and device != "cpu":
            raise Refusal(
                f"the run computes by fused, which {device or 'no device'} cannot: start the run "
                "with --backend=xla, or this worker with --device=cpu"
            )
        if self._pool.live >= _MOST_WORKERS:
            raise Refusal(f"there are {_MOST_WORKERS:,} workers already")
        pid = requests.count("pid", info.get("pid", 0), 2**31)
        for name in ("device_kind", "processor"):
            if not given[name]:
                raise Refusal(f"`{name}` must name the model of what computes, got nothing")
        traits = {
            requests.name("traits", name): requests.name("traits", value)
            for name, value in requests.table("traits", info.get("traits", {})).items()
        }
        kind = computing_kind(backend, given["device_kind"], given["processor"], traits)
        # Last of all, since it may fix the run's.
        self.kinds.let_in(kind)
        return WorkerInfo(given["host"], pid, device, kind)


def _message(offer: Offer) -> dict[str, Any]:
    task = offer.task
    return {
        "id": offer.id,
        "program": program_to_json(task.program),
        "shared": list(offer.shared),
        "enclosed": dict(offer.enclosed),
        "own": [pack(array) for array in task.own],
        "work": task.work,
    }
