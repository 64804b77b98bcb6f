"""A worker's sign of life, which goes on while a kernel computes."""

import functools
import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from stillhouse.workers.connection import Refused, Server, ServerGone

_LOGGER = logging.getLogger(__name__)


class Heartbeat:
    """A thread that names to the server, every few seconds, the tasks that this worker holds.

    It never gives up: what its silence or the server's answer mean is for others to find out, by
    the answers to their own calls or, while they compute, by `set_aside` and `unheard`. Kernels and
    calls let go of Python's lock, so nothing that a worker does delays it.

    Args:
        server: whom to tell.
        stats: gives what to tell besides the tasks.
    """

    def __init__(self, server: Server, stats: Callable[[], dict[str, Any]]) -> None:
        self._server = server
        self._stats = stats
        self._worker = ""
        self._seconds = 0.0
        self._held: dict[str, bool] = {}  # whether it was revoked
        self._heard = time.monotonic()
        self._set_aside: str | None = None
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def beat_as(self, worker: str, seconds: float) -> None:
        """Beat under this id, every so many seconds, from now on."""
        with self._changed:
            self._worker, self._seconds = worker, seconds
            self._heard = time.monotonic()
            self._changed.notify()

    def hold(self, task: str) -> None:
        """Name this task from now on."""
        with self._changed:
            self._held.setdefault(task, False)

    def drop(self, task: str) -> None:
        """Name this task no longer."""
        with self._changed:
            self._held.pop(task, None)

    def revoked(self, task: str) -> bool:
        """Return whether the server does not want this task any more."""
        with self._changed:
            return self._held.get(task, False)

    @property
    def set_aside(self) -> str | None:
        """Why the server wants no more of this worker; None if it does."""
        return self._set_aside

    @property
    def unheard(self) -> float:
        """For how many seconds the server has not answered."""
        return time.monotonic() - self._heard

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Not joined: it may be in a call that is slow to fail, and is a daemon.
        with self._changed:
            self._ended = True
            self._changed.notify()

    def _run(self) -> None:
        next_beat = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._worker)
                # From beat to beat, however long a beat takes; after a late one not two at once.
                next_beat = max(next_beat + self._seconds, time.monotonic())
                worker = self._worker
                self._changed.wait_for(
                    functools.partial(self._told_otherwise, worker),
                    timeout=next_beat - time.monotonic(),
                )
                if self._ended:
                    return
                worker, tasks = self._worker, list(self._held)
            self._beat(worker, tasks)

    def _told_otherwise(self, worker: str) -> bool:
        return self._ended or self._worker != worker

    def _beat(self, worker: str, tasks: list[str]) -> None:
        try:
            answer = self._server.heartbeat(worker, tasks, self._stats())
        except (ServerGone, Refused) as error:
            _LOGGER.debug("no heartbeat: %s", error)
            return
        with self._changed:
            self._heard = time.monotonic()
            if answer.get("status") == "quarantined":
                self._set_aside = str(answer.get("reason", ""))
            for task in answer.get("revoked", ()):
                if task in self._held:
                    self._held[task] = True
