"""The methods of a server whose every call goes by one way."""

from abc import ABC, abstractmethod
from typing import Any

from stillhouse.workers.connection import Answer


class CalledServer(ABC):
    """A `stillhouse.workers.connection.Server` at the other end of a transport."""

    @abstractmethod
    def _call(self, method: str, *arguments: Any) -> Answer:
        """Return what the server answers, or raise `Refused` or `ServerGone`."""

    def register(self, info: dict[str, Any]) -> Answer:
        """See `Server.register`."""
        return self._call("register", info)

    def lease(self, worker: str, most: int) -> Answer:
        """See `Server.lease`."""
        return self._call("lease", worker, most)

    def fetch(self, worker: str, hashes: list[str]) -> Answer:
        """See `Server.fetch`."""
        return self._call("fetch", worker, hashes)

    def complete(
        self, worker: str, task: str, results: list[bytes], seconds: float, most: int
    ) -> Answer:
        """See `Server.complete`."""
        return self._call("complete", worker, task, results, seconds, most)

    def fail(self, worker: str, task: str, kind: str, reason: str) -> Answer:
        """See `Server.fail`."""
        return self._call("fail", worker, task, kind, reason)

    def heartbeat(self, worker: str, tasks: list[str], stats: dict[str, Any]) -> Answer:
        """See `Server.heartbeat`."""
        return self._call("heartbeat", worker, tasks, stats)

    def leave(self, worker: str) -> Answer:
        """See `Server.leave`."""
        return self._call("leave", worker)

    def status(self) -> Answer:
        """Return how the run is doing; it needs no registration."""
        return self._call("status")
