"""A task that a worker has, from the server's message to its results."""

import dataclasses
import threading
import time
from concurrent.futures import Future
from typing import Any

import numpy as np

from stillhouse.data.wire import pack
from stillhouse.methods.programs import Arrays, Context
from stillhouse.methods.tasks import Task
from stillhouse.workers.compute import compute


@dataclasses.dataclass(eq=False)
class Leased:
    """A task that is waiting, computed or done.

    Attributes:
        entry: the server's message.
        task: what it describes, as soon as its arrays are here.
        results: of the task, or what went wrong.
        seconds: how long it was computed.
    """

    entry: dict[str, Any]
    task: Task | None = None
    results: Future[Arrays] = dataclasses.field(default_factory=Future)
    seconds: float = 0.0

    @property
    def id(self) -> str:
        """The server's name for it."""
        return self.entry["id"]

    def start(self, context: Context) -> None:
        """Compute it in a thread of its own, which nobody waits for at the end of the process."""
        threading.Thread(target=self._run, args=(context,), name=self.id, daemon=True).start()

    def packed(self) -> list[bytes]:
        """Return its results as bytes.

        Raises:
            Exception: what went wrong.
        """
        return [pack(result) for result in self.results.result()]

    def _run(self, context: Context) -> None:
        assert self.task is not None, "its arrays were fetched"
        begun = time.monotonic()
        try:
            # What is not finite is found in the results.
            with np.errstate(over="ignore", invalid="ignore"):
                results = compute(context, self.task)
        except BaseException as error:
            self.results.set_exception(error)
        else:
            self.seconds = time.monotonic() - begun
            self.results.set_result(results)
