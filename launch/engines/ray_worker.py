"""What a Ray actor is, without Ray: it computes the tasks that come as arguments."""

import time
from typing import Any

import numpy as np

from stillhouse.data.wire import pack
from stillhouse.launch.devices import use_device
from stillhouse.methods.programs import Context
from stillhouse.workers.compute import compute, failure_kind, read_task
from stillhouse.workers.registration import registration


class RayWorker:
    """A worker that is handed its tasks, one call for each.

    Ray carries arguments and results by pickle; what it carries is plain all the same.

    Args:
        backend: of the run, by its resolved name.
        device: "cpu", or "gpu:0" where Ray has lent this process a GPU.
        threads: how many threads a program may use.

    Raises:
        ValueError: if there is no such device or backend here.
    """

    def __init__(self, backend: str, device: str, threads: int) -> None:
        use_device(device, threads)
        self._context = Context(backend, threads, device=device)
        self._device, self._threads = device, threads

    def describe(self) -> dict[str, Any]:
        """Return what the server wants to know of a worker that registers."""
        return registration(self._device, self._threads, self._context.backend)

    def alive(self) -> None:
        """Answer, which is all."""

    def run(self, entry: dict[str, Any], *shared: np.ndarray) -> dict[str, Any]:
        """Compute a task.

        Args:
            entry: the server's message.
            shared: the arrays whose hashes it names.

        Returns:
            `results`, packed, and `seconds`; or `kind` and `reason` of a failure.
        """
        begun = time.monotonic()
        try:
            task = read_task(entry, shared)
            # What is not finite is found in the results.
            with np.errstate(over="ignore", invalid="ignore"):
                results = compute(self._context, task)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            return {"kind": failure_kind(error), "reason": reason}
        seconds = time.monotonic() - begun
        return {"results": [pack(result) for result in results], "seconds": seconds}
