"""What a worker does: lease tasks, compute them, hand their results in, until there are no more."""

import collections
import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import wait
from typing import Any

import numpy as np

from stillhouse.methods.programs import Context
from stillhouse.workers.cache import BlobCache, blobs_of_task, default_capacity
from stillhouse.workers.compute import failure_kind, read_task
from stillhouse.workers.connection import (
    Answer,
    Connection,
    Ended,
    Forgotten,
    Refused,
    Server,
    ServerGone,
)
from stillhouse.workers.heartbeat import Heartbeat
from stillhouse.workers.leased import Leased
from stillhouse.workers.registration import registration

__all__ = ["Refused", "Server", "ServerGone", "Work", "work"]

# One that is computed, and one that waits with its arrays here already.
_MOST = 2
_POLL_SECONDS = 0.2
# How long a worker that is asked to stop tries to finish what it computes.
_GRACE_SECONDS = 5.0

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Work:
    """What a worker did.

    Attributes:
        end: why it ended: the run is "finished", it was "stopped", the server is "gone", or has
            "quarantined" it.
        reason: more of it, where there is.
        tasks: how many it computed.
        work: their work units, by what these are.
        seconds: how long it computed them, alike.
        abandoned: whether it still computes, in a thread that nothing can stop but the end of the
            process, and that should be an abrupt one.
    """

    end: str
    reason: str
    tasks: int
    work: Mapping[str, int]
    seconds: Mapping[str, float]
    abandoned: bool


def work(
    server: Server,
    *,
    device: str = "cpu",
    threads: int | None = None,
    max_idle: float = 60.0,
    cache_bytes: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    backend_override: str | None = None,
) -> Work:
    """Compute tasks of a server until it has no more, or is gone.

    While one task is computed, the arrays of the next are fetched, and the results of the last
    handed in. A server that is restarted finds its workers back. Memory is that of the program, of
    two tasks and of the cache.

    Args:
        server: whose tasks.
        device: what computes, "cpu" or "gpu:0" and so on; only said, JAX has been told before.
        threads: how many threads a program may use; None for its default.
        max_idle: seconds without an answer after which the server is given up.
        cache_bytes: of shared arrays to keep; None for a sixteenth of the machine's memory.
        should_stop: polled several times a second; when true, a task that is done within seconds
            is still handed in, any other given back.
        backend_override: compute by this backend in place of the run's, where the server lets any
            device in.

    Raises:
        Refused: if the server does not work with this worker; the message is its reason.
        ValueError: if the run's backend is not installed here.
    """
    worker = _Worker(server, device, threads, max_idle, cache_bytes, should_stop, backend_override)
    return worker.run()


class _Worker:
    def __init__(
        self,
        server: Server,
        device: str,
        threads: int | None,
        max_idle: float,
        cache_bytes: int | None,
        should_stop: Callable[[], bool],
        backend: str | None,
    ) -> None:
        self._server, self._max_idle = server, max_idle
        self._connection = Connection(server, max_idle, should_stop)
        self._device, self._threads, self._backend = device, threads, backend
        self._capacity = default_capacity() if cache_bytes is None else cache_bytes
        self._cache = BlobCache(self._capacity)
        self._heartbeat = Heartbeat(server, self._stats)
        self._context: Context | None = None
        self._id = ""
        self._waiting: collections.deque[Leased] = collections.deque()
        self._running: Leased | None = None
        self._done: Leased | None = None
        self._tasks = 0
        self._work: dict[str, int] = collections.defaultdict(int)
        self._seconds: dict[str, float] = collections.defaultdict(float)

    def run(self) -> Work:
        end, reason = "gone", ""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._heartbeat)
            stack.callback(self._leave)
            try:
                self._serve()
            except Ended as ended:
                end, reason = ended.how, ended.reason
            except ServerGone as error:
                reason = str(error)
            if end == "stopped":
                self._finish_running()
        abandoned = self._running is not None and not self._running.results.done()
        return Work(end, reason, self._tasks, dict(self._work), dict(self._seconds), abandoned)

    def _serve(self) -> None:
        while True:
            self._register()
            try:
                while True:
                    self._turn()
            except Forgotten:
                # What it computes just now may still be of use; a server that was restarted will
                # not know of it, and say so.
                _LOGGER.warning("the server has forgotten this worker; registering again")
                while self._waiting:
                    self._heartbeat.drop(self._waiting.popleft().id)

    def _register(self) -> None:
        info = registration(self._device, self._threads, self._backend)
        answer = self._connection.ask("register", info)
        self._id = answer["worker"]
        self._heartbeat.beat_as(self._id, answer["heartbeat"])
        run = answer["run"]
        backend = self._backend or run["backend"]
        if self._context is None or self._context.backend != backend:
            self._context = Context(backend, self._threads, device=self._device)
        _LOGGER.info(
            "worker %s of %s, by %s; it keeps up to %.0f MB of arrays",
            *(self._id, run["summary"], backend, self._capacity / 1e6),
        )

    def _turn(self) -> None:
        """Do what is next: hand in, ask for more, or see to it that something is computed."""
        self._connection.pause(0)
        self._start_next()
        if self._done is not None:
            self._hand_in(self._done)
        elif self._running is None:
            answer = self._connection.ask("lease", self._id, _MOST)
            if not self._take(answer):
                self._connection.pause(answer["wait"])
        elif not self._prepare_next():
            self._check_server()
            wait([self._running.results], timeout=_POLL_SECONDS)
        if self._done is None and self._running is not None and self._running.results.done():
            self._done, self._running = self._running, None
            self._count(self._done)

    def _check_server(self) -> None:
        """See to it that a task which hangs keeps this process no longer than it is wanted.

        Raises:
            Ended: if the server has set this worker aside.
            ServerGone: if it has not answered for too long.
        """
        if self._heartbeat.set_aside is not None:
            raise Ended("quarantined", self._heartbeat.set_aside)
        if self._heartbeat.unheard > self._max_idle:
            raise ServerGone("the server does not answer")

    def _take(self, answer: Answer) -> bool:
        """Put the tasks of an answer behind those that wait, and return whether there are any."""
        for entry in answer["tasks"]:
            self._waiting.append(Leased(entry))
            self._heartbeat.hold(entry["id"])
        return bool(answer["tasks"])

    def _start_next(self) -> None:
        while self._running is None and self._waiting:
            if self._prepare_next():
                continue
            assert self._context is not None, "it has registered"
            self._running = self._waiting.popleft()
            self._running.start(self._context)

    def _prepare_next(self) -> bool:
        """Get the arrays of the task that is next; return False if there was nothing to do.

        A task that is not wanted any more, or cannot be read, waits no longer.
        """
        if not self._waiting:
            return False
        leased = self._waiting[0]
        if not self._heartbeat.revoked(leased.id):
            if leased.task is not None:
                return False
            try:
                shared = self._shared(leased.entry["shared"], leased.entry.get("enclosed", {}))
                if shared is not None:
                    leased.task = read_task(leased.entry, shared)
                    return True
            except Refused:
                raise
            except ValueError as error:
                self._connection.ask("fail", self._id, leased.id, "other", str(error))
        self._waiting.popleft()
        self._heartbeat.drop(leased.id)
        return True

    def _shared(self, names: list[str], enclosed: dict[str, bytes]) -> list[np.ndarray] | None:
        """Return the arrays of these hashes; None if the server has dropped any, and so the task.

        Args:
            names: the hashes.
            enclosed: blobs that came with the task.

        Raises:
            WireError: if what came is something else.
        """
        found = {name: self._cache.get(name) for name in names}
        missing = [name for name, array in found.items() if array is None]
        blobs = blobs_of_task(missing, enclosed, self._fetch)
        found.update({n: self._cache.add(n, blobs[n]) for n in missing if n in blobs})
        shared = [found[name] for name in names]
        return None if any(x is None for x in shared) else shared  # type: ignore[return-value]

    def _fetch(self, names: list[str]) -> dict[str, bytes]:
        blobs: dict[str, bytes] = self._connection.ask("fetch", self._id, names)["blobs"]
        return blobs

    def _hand_in(self, leased: Leased) -> None:
        """Give the server the results, or say what went wrong, and take what it has next.

        Only then it is over with: who is forgotten meanwhile hands in again.
        """
        if self._heartbeat.revoked(leased.id):
            pass  # Another worker was first.
        elif error := leased.results.exception():
            if not isinstance(error, Exception):
                raise error
            kind, reason = failure_kind(error), f"{type(error).__name__}: {error}"
            _LOGGER.warning("task %s failed: %s", leased.id, reason)
            self._connection.ask("fail", self._id, leased.id, kind, reason)
        else:
            room = _MOST - len(self._waiting) - (self._running is not None)
            arguments = (self._id, leased.id, leased.packed(), leased.seconds, room)
            self._take(self._connection.ask("complete", *arguments))
        self._heartbeat.drop(leased.id)
        self._done = None

    def _count(self, leased: Leased) -> None:
        assert leased.task is not None, "it was computed"
        if leased.results.exception() is not None:
            return
        self._tasks += 1
        self._work[leased.task.program.unit] += leased.task.work
        self._seconds[leased.task.program.unit] += leased.seconds

    def _finish_running(self) -> None:
        """Hand in what is done, or soon will be: the server need not have it computed again."""
        ends = time.monotonic() + _GRACE_SECONDS
        for last in (self._done, self._running):
            if last is None:
                continue
            wait([last.results], timeout=ends - time.monotonic())
            if not last.results.done():
                return
            if last is self._running:
                self._count(last)
            if last.results.exception() is None:
                with contextlib.suppress(ServerGone, Refused):
                    self._server.complete(self._id, last.id, last.packed(), last.seconds, 0)

    def _leave(self) -> None:
        if self._id:
            with contextlib.suppress(ServerGone, Refused):
                self._server.leave(self._id)

    def _stats(self) -> dict[str, Any]:
        return {"tasks": self._tasks, "seconds": sum(self._seconds.values())}
