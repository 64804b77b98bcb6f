"""Tasks computed by many workers, their results in order."""

import collections
import contextlib
import dataclasses
import itertools
import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from stillhouse.data.wire import digest, unpack
from stillhouse.methods.algorithm import Deserted, Interrupted
from stillhouse.methods.programs import Arrays
from stillhouse.methods.tasks import SpoiledError, Task, TaskFailedError, check_results
from stillhouse.server.audit import Audit
from stillhouse.server.blobs import MOST_ENCLOSED_BYTES, BlobStore, PackedArrays
from stillhouse.server.bounded_log import BoundedLog
from stillhouse.server.leases import Event, Failure, TaskRecord, WorkerInfo
from stillhouse.server.scheduler import Scheduler

# So many are packed before the next look at what is done.
_BATCH = 32
_POLL_SECONDS = 0.25
# Of the time, what looking at thousands of workers may take.
_TICK_SHARE = 0.02
_LONELY_SECONDS = 10.0
_LONELY_AGAIN_SECONDS = 60.0
# More than the header of an array takes.
_HEADER_BYTES = 256

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Offer:
    """A task as it is lent.

    Attributes:
        id: its name.
        task: what to compute.
        shared: the hashes of its shared arrays.
        audited: whether two workers compute it.
        enclosed: of these the small ones that the worker is not likely to hold.
    """

    id: str
    task: Task
    shared: tuple[str, ...]
    audited: bool
    enclosed: Mapping[str, bytes] = dataclasses.field(default_factory=dict)


class WorkerPool:
    """A `TaskRunner` that lends its tasks to workers; all methods are for many threads.

    Args:
        scheduler: who gets what; used by nobody else from now on.
        blobs: where shared arrays are put for the workers to fetch.
        should_stop: polled several times a second while results are waited for.
        max_lonely: seconds for which to wait without any worker; None for ever.
        audit: chooses the tasks that two workers compute; None for none.

    Attributes:
        work: the units whose results were handed in first, by what they are.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        blobs: BlobStore,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        max_lonely: float | None = None,
        audit: Audit | None = None,
    ) -> None:
        self.heartbeat = scheduler.heartbeat
        self.work: collections.Counter[str] = collections.Counter()
        self._scheduler = scheduler
        self._blobs = blobs
        self._should_stop = should_stop
        self._offers: dict[str, Offer] = {}
        # By a number: the hash of a program takes its time, and a kind is looked up often.
        self._kinds: dict[Hashable, int] = collections.defaultdict(itertools.count().__next__)
        self._changed = threading.Condition()
        self._closed = False
        self._tick_after = min(_POLL_SECONDS, self.heartbeat / 4)
        self._ticked = self._warn_since = self._lonely_since = scheduler.now
        self._warn_after = _LONELY_SECONDS
        self._max_lonely = max_lonely
        self._audit = audit or Audit()
        self._on_work: Callable[[], None] | None = None
        self._log = BoundedLog(_log)

    @property
    def is_closed(self) -> bool:
        """Whether there will be no more tasks."""
        return self._closed

    @property
    def live(self) -> int:
        """How many workers there are, without those in quarantine."""
        return self._scheduler.roster.live

    @property
    def queued(self) -> int:
        """How many tasks wait for a worker."""
        return self._scheduler.queued

    def on_work(self, call: Callable[[], None] | None) -> None:
        """Have this called, in any thread, whenever more tasks wait, or there will be no more.

        It must be quick, and is not to use this pool. None for nobody.
        """
        self._on_work = call

    def results(self, tasks: Sequence[Task]) -> Iterator[Arrays]:
        """Yield the results of tasks, in their order, as workers hand them in.

        Raises:
            FloatingPointError: if the values of a task are what no worker can compute with.
            TaskFailedError: if a task failed otherwise, wherever it was tried.
            Interrupted: if asked to stop, or closed.
            Deserted: if no worker was there for too long.
            SpoiledError: if a worker was found out whose results may have been among the last ones.
        """
        arrays, ids, left = PackedArrays(self._blobs), collections.deque[str](), iter(tasks)
        try:
            while True:
                room = self._scheduler.roster.tasks_ahead - len(ids)
                batch = list(itertools.islice(left, max(0, min(room, _BATCH))))
                ids.extend(self._submit(batch, arrays))
                if not ids:
                    return
                yield from self._gather(ids, wait=not batch)
        finally:
            with self._scheduling() as scheduler:
                scheduler.cancel(ids)
                self._forget(ids)
            arrays.release()

    def register(self, info: WorkerInfo) -> str:
        """Take a worker in, and return its id."""
        with self._scheduling() as scheduler:
            return scheduler.register(info)

    def info(self, worker: str) -> WorkerInfo:
        """Return who a worker said that it is; nobody where it is not there any more."""
        with self._scheduling() as scheduler:
            found = scheduler.roster.get(worker) or scheduler.roster.get_lost(worker)
            return WorkerInfo() if found is None else found.info

    def state(self, worker: str) -> tuple[str, str]:
        """Return whether a worker is "live", "quarantined" or "unknown", and why."""
        with self._scheduling() as scheduler:
            found = scheduler.roster.get(worker)
            return ("unknown", "") if found is None else (found.state, found.reason)

    def lease(self, worker: str, most: int) -> list[Offer]:
        """Lend up to `most` tasks to a worker."""
        with self._scheduling() as scheduler:
            ids = [] if self._closed else scheduler.lease(worker, most)
            lent = [(self._offers[id], scheduler.news(worker, id)) for id in ids]
        return [dataclasses.replace(offer, enclosed=self._small(news)) for offer, news in lent]

    def idle_seconds(self) -> float:
        """Return after how long a worker with nothing to do had best ask again."""
        return self._scheduler.roster.idle_seconds

    def fetch(self, worker: str, names: Sequence[str]) -> dict[str, bytes]:
        """Return the blobs of these hashes that are there."""
        with self._scheduling() as scheduler:
            scheduler.hear(worker)
        return self._blobs.get_all(names)

    def complete(self, worker: str, task_id: str, packed: Sequence[bytes]) -> str:
        """Take the results of a task.

        Returns:
            What `Scheduler.complete` does, or "bad" for what is no result of this task.
        """
        with self._scheduling() as scheduler:
            offer = self._offers.get(task_id)
            if offer is None:
                return scheduler.complete(worker, task_id, None)
        # Not under the lock: megabytes are read.
        digests = digest("".join(map(digest, packed)).encode()) if offer.audited else ""
        bad, results = _read_results(offer.task, packed)
        with self._scheduling() as scheduler:
            if bad is None:
                accepted = scheduler.complete(worker, task_id, results, digests)
                if accepted == "first":
                    self.work[offer.task.program.unit] += offer.task.work
            else:
                accepted = "bad"
                scheduler.reject(worker, task_id, bad.reason, bad.kind)
            self._changed.notify_all()
        return accepted

    def fail(self, worker: str, task_id: str, reason: str, kind: str) -> None:
        """Take note that a worker could not compute a task."""
        with self._scheduling() as scheduler:
            scheduler.fail(worker, task_id, reason, kind)
            self._changed.notify_all()

    def renew(self, worker: str, task_ids: Sequence[str]) -> list[str]:
        """Take a worker's sign of life, and return those of its tasks that are not wanted."""
        with self._scheduling() as scheduler:
            return scheduler.renew(worker, task_ids)

    def hear(self, workers: Sequence[str]) -> list[str]:
        """Take signs of life of workers that hold nothing, and return those not live any more."""
        with self._scheduling() as scheduler:
            heard = [(worker, scheduler.hear(worker)) for worker in workers]
            return [worker for worker, w in heard if w is None or w.state != "live"]

    def leave(self, worker: str) -> None:
        """Let a worker go."""
        with self._scheduling() as scheduler:
            scheduler.leave(worker)

    def lose(self, worker: str, reason: str) -> None:
        """Give up a worker that is known to have died, without waiting for its silence."""
        with self._scheduling() as scheduler:
            scheduler.worker_lost(worker, reason)

    def counts(self) -> dict[str, int]:
        """Return how many tasks are in which state, and how often they were lent."""
        with self._scheduling() as scheduler:
            return scheduler.counts()

    def workers(self) -> list[dict[str, Any]]:
        """Return what is known of each worker, the ones that were lost included."""
        with self._scheduling() as scheduler:
            now = scheduler.now
            return [worker.describe(now) for worker in scheduler.roster.all()]

    def close(self) -> None:
        """Lend no more tasks; whoever waits for results is interrupted."""
        with self._changed:
            self._closed = True
            self._log.close()
            self._changed.notify_all()
            self._say_there_is_work()

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _submit(self, tasks: Sequence[Task], arrays: PackedArrays) -> list[str]:
        hashes = [tuple(arrays.name(x) for x in task.shared) for task in tasks]
        with self._scheduling() as scheduler:
            audited = [self._audit.chooses() for _ in tasks]
            ids = scheduler.submit(map(self._record, tasks, hashes, audited))
            for offer in map(Offer, ids, tasks, hashes, audited):
                self._offers[offer.id] = offer
        return ids

    def _record(self, task: Task, shared: tuple[str, ...], audited: bool) -> TaskRecord:
        program = task.program
        return TaskRecord(task.work, shared, self._kinds[program], program.unit, audited)

    def _gather(self, ids: collections.deque[str], *, wait: bool) -> list[Arrays]:
        """Take the first of these tasks out, as far as they are done, and return their results."""
        while True:
            if self._closed or self._should_stop():
                raise Interrupted
            with self._scheduling() as scheduler:
                results = scheduler.gather(ids)
                self._forget([ids.popleft() for _ in results])
                failure, spoiled = scheduler.failure(ids), scheduler.take_spoiled()
                if wait and not (results or failure or spoiled):
                    self._look_for_workers()
                    self._changed.wait(_POLL_SECONDS)
            if spoiled:
                raise SpoiledError(f"{spoiled} handed in wrong bits")
            if failure is not None:
                raise _error(failure)
            if results or not wait:
                return results

    def _small(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return of these blobs those that cost less than a call which asks for them."""
        blobs = self._blobs.get_all(names)
        return {name: b for name, b in blobs.items() if len(b) <= MOST_ENCLOSED_BYTES}

    def _forget(self, ids: Sequence[str]) -> None:
        for id in ids:
            del self._offers[id]

    @contextlib.contextmanager
    def _scheduling(self) -> Iterator[Scheduler]:
        """Have the scheduler for oneself; then let it do what is due, and log what happened."""
        with self._changed:
            queued = self._scheduler.queued
            yield self._scheduler
            events = self._scheduler.take_events()
            if self._scheduler.now - self._ticked > self._tick_after:
                events += self._tick()
            if self._scheduler.queued > queued:
                self._say_there_is_work()
            # Before anybody else comes to know: what leads to the end of a run is said before it.
            self._log.tell(events, self._ticked)

    def _tick(self) -> list[Event]:
        """Have the scheduler look at all workers, and note when to do so again."""
        began = time.monotonic()
        events = self._scheduler.tick()
        self._ticked = self._scheduler.now
        seconds = (time.monotonic() - began) / _TICK_SHARE
        often = min(_POLL_SECONDS, self.heartbeat / 4)
        self._tick_after = min(max(often, seconds), self.heartbeat / 2)
        return events

    def _say_there_is_work(self) -> None:
        if (call := self._on_work) is not None:
            call()

    def _look_for_workers(self) -> None:
        now = self._scheduler.now
        if self.live:
            self._lonely_since = self._warn_since = now
            self._warn_after = _LONELY_SECONDS
            return
        if now - self._warn_since > self._warn_after:
            _log.warning(
                "no worker is there; %d tasks wait for one", self._scheduler.counts()["queued"]
            )
            self._warn_since, self._warn_after = now, _LONELY_AGAIN_SECONDS
        lonely = now - self._lonely_since
        if self._max_lonely is not None and lonely > self._max_lonely:
            _log.warning("no worker was there for %.0f s: the server ends", lonely)
            raise Deserted


def _read_results(task: Task, packed: Sequence[bytes]) -> tuple[Failure | None, Arrays]:
    """Return the results of a task, or what is wrong with them."""
    types = task.results
    most = max((expected.nbytes for expected in types), default=0) + _HEADER_BYTES
    results: Arrays = ()
    try:
        results = tuple(unpack(data, max_bytes=most) for data in packed)
        check_results(types, results)
    except ValueError as error:
        finite = all(np.isfinite(result).all() for result in results)
        return Failure("other" if finite else "value", str(error)), ()
    return None, results


def _error(failure: Failure) -> Exception:
    if failure.kind == "value":
        return FloatingPointError(failure.reason)
    return TaskFailedError(f"a task failed wherever it was tried: {failure.reason}")
