"""The server, as a worker sees it, and how it is asked until it answers."""

import logging
import random
import time
from collections.abc import Callable
from typing import Any, Protocol

Answer = dict[str, Any]

_FIRST_DELAY, _LONGEST_DELAY = 0.1, 2.0  # seconds between attempts
_POLL_SECONDS = 0.1

_LOGGER = logging.getLogger(__name__)


class ServerGone(ConnectionError):
    """The server cannot be reached, or does not answer; it may come back."""


class Refused(ValueError):
    """The server does not work with this worker; the message is its reason."""


class Server(Protocol):
    """The methods of a server: whatever carries a call there has the same ones.

    Arguments and answers are None, numbers, strings, bytes, and lists and dicts of them. Every
    answer has a "status". A call may be made twice. All raise `ServerGone`.
    """

    def register(self, info: dict[str, Any]) -> Answer:
        """Join: "ok" with the "worker" id, the "heartbeat" in seconds and the "run"."""
        ...

    def lease(self, worker: str, most: int) -> Answer:
        """Ask for up to `most` tasks: "ok" with "tasks", and seconds to "wait" if there are none.

        Also "stop", "unknown" and "quarantined".
        """
        ...

    def fetch(self, worker: str, hashes: list[str]) -> Answer:
        """Ask for blobs: "ok" with "blobs" by hash; one that nobody needs any more is missing."""
        ...

    def complete(
        self, worker: str, task: str, results: list[bytes], seconds: float, most: int
    ) -> Answer:
        """Hand in packed results, and ask for up to `most` tasks: as `lease`, and "accepted"."""
        ...

    def fail(self, worker: str, task: str, kind: str, reason: str) -> Answer:
        """Give a task back, which is "value", "memory" or "other" to blame for."""
        ...

    def heartbeat(self, worker: str, tasks: list[str], stats: dict[str, Any]) -> Answer:
        """Show that one lives, and still has these tasks: "ok" with the "revoked" ones."""
        ...

    def leave(self, worker: str) -> Answer:
        """Say goodbye: what was leased goes to others at once."""
        ...


class Ended(Exception):
    """There is nothing more to do.

    Attributes:
        how: "finished", "stopped" or "quarantined".
        reason: what the server says of it.
    """

    def __init__(self, how: str, reason: str = "") -> None:
        super().__init__(how, reason)
        self.how = how
        self.reason = reason


class Forgotten(Exception):
    """The server does not know this worker: it was restarted, or had not heard of it for long."""


class Connection:
    """Asks a server, again and again where it does not answer.

    Args:
        server: whom to ask.
        max_idle: seconds after which to give up.
        should_stop: polled between attempts.
    """

    def __init__(self, server: Server, max_idle: float, should_stop: Callable[[], bool]) -> None:
        self._server = server
        self._max_idle = max_idle
        self._should_stop = should_stop

    def ask(self, method: str, *arguments: Any) -> Answer:
        """Return the server's answer, where it is "ok".

        Raises:
            ServerGone: if there was none for `max_idle` seconds.
            Refused: if it says so, or is no server of ours.
            Forgotten: if it says "unknown".
            Ended: if it says "stop" or "quarantined", or `should_stop` does meanwhile.
        """
        return _checked(self._answer(method, arguments))

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            Ended: if `should_stop` says so.
        """
        until = time.monotonic() + seconds
        while True:
            if self._should_stop():
                raise Ended("stopped")
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _POLL_SECONDS))

    def _answer(self, method: str, arguments: tuple[Any, ...]) -> Answer:
        since, delay = time.monotonic(), _FIRST_DELAY
        while True:
            try:
                answer: Answer = getattr(self._server, method)(*arguments)
            except ServerGone as error:
                left = since + self._max_idle - time.monotonic()
                if left <= 0:
                    raise
                if delay == _FIRST_DELAY:
                    _LOGGER.warning("%s; trying again for %.0f s", error, left)
            else:
                if delay != _FIRST_DELAY:
                    _LOGGER.info("the server answers again")
                return answer
            # At random, or all workers would come back to a restarted server in one moment.
            self.pause(min(left, delay * random.uniform(0.5, 1.0)))
            delay = min(2 * delay, _LONGEST_DELAY)


def _checked(answer: Answer) -> Answer:
    status = answer.get("status") if isinstance(answer, dict) else None
    if status == "ok":
        return answer
    if status == "stop":
        raise Ended("finished")
    if status == "unknown":
        raise Forgotten
    reason = str(answer.get("reason", "")) if isinstance(answer, dict) else ""
    if status == "quarantined":
        raise Ended("quarantined", reason)
    if status == "refused":
        raise Refused(reason)
    raise Refused(f"no answer of a stillhouse server: {str(answer)[:200]}")
