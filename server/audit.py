"""Results compared: a share of the tasks is computed by two workers, and the bits are the same.

On one kind of device a task's result depends on the task alone. So a worker whose result is another
than that of two others is broken, or lies.
"""

import collections
import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from stillhouse.server.leases import TaskState, Vote, WorkerState

_MOST_NAMED = 64


@dataclasses.dataclass
class Audit:
    """Which tasks are computed twice, and what came of it.

    Attributes:
        share: of the tasks, from 0 to 1.
        seed: decides which.
        compared: how many were, and the workers agreed in the end.
        missed: how many could not be, since there was no second worker.
        set_aside: the workers that were found out.
    """

    share: float = 0.0
    seed: int = 0
    compared: int = 0
    missed: int = 0
    set_aside: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self._asked = self.compared + self.missed

    def chooses(self) -> bool:
        """Return whether the next task is to be computed twice: by the seed, and its number."""
        self._asked += 1
        digest = hashlib.sha256(f"{self.seed}:{self._asked}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < self.share * 2**64

    def describe(self) -> dict[str, Any]:
        """Return what there is to say of it; nothing where nothing is audited."""
        if not self.share:
            return {}
        return {
            "share": self.share,
            "compared": self.compared,
            "missed": self.missed,
            "set_aside": list(self.set_aside),
        }

    def go_on(self, before: Mapping[str, Any]) -> None:
        """Count on from what `describe` gave before the run was stopped."""
        self.compared += int(before.get("compared", 0))
        self.missed += int(before.get("missed", 0))
        self.name(map(str, before.get("set_aside", ())))
        self._asked = self.compared + self.missed

    def name(self, workers: Iterable[str]) -> None:
        """Remember who was found out."""
        self.set_aside += list(workers)
        del self.set_aside[_MOST_NAMED:]


def agreement(task: TaskState) -> tuple[Vote | None, list[WorkerState]]:
    """Return what two workers say of a task, None as long as no two do; and who says otherwise."""
    counts = collections.Counter(vote.digest for vote in task.votes.values())
    digest, count = counts.most_common(1)[0]
    if count < 2:
        return None, []
    agreed = next(vote for vote in task.votes.values() if vote.digest == digest)
    return agreed, [vote.worker for vote in task.votes.values() if vote.digest != digest]
