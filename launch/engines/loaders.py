"""Target batches prepared ahead of need, by other processes, through a Reverb queue.

A queue gives each batch once and keeps none, so a batch may be lost, late or out of order. It does
not matter: a batch is a function of the seed and the step, and who does not get it in time makes
it. The queue's size is the back-pressure on who makes them.
"""

import dataclasses
import logging as standard_logging
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from absl import logging

from stillhouse.data.batches import TargetBatches
from stillhouse.launch.job import Job
from stillhouse.server.checkpoints import CheckpointStore

TABLE = "targets"
# Batches that wait in the queue, and as many again at the server, for each loader.
AHEAD = 2

Batch = tuple[np.ndarray, np.ndarray]
# A step and its batch.
Loaded = tuple[int, Batch]

_POLL_SECONDS = 0.05
_CALL_SECONDS = 2

_LOGGER = standard_logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class LoadedBatches(TargetBatches):
    """Target batches that may be there before they are asked for.

    Attributes:
        arrivals: those that are.
    """

    arrivals: "Arrivals" = dataclasses.field(kw_only=True)

    def obtain(self, make: Callable[[int], Any], step: int) -> Any:
        """Return the one that came, which is no pixels any more, or is made here: the same bits."""
        found = self.arrivals.take(step)
        return make(step) if found is None else found


class Arrivals:
    """The batches that came ahead of need, received in a thread while entered.

    Args:
        receive: returns the next one, or None if there is none just now; an error that it raises
            is logged once, and it is asked again later.
        most: how many to hold at a time.
    """

    def __init__(self, receive: Callable[[], Loaded | None], most: int) -> None:
        self._receive, self._most = receive, most
        self._batches: dict[int, Batch] = {}
        self._next = 0
        self._asked = self._in_time = 0
        self._changed = threading.Condition()
        self._closed = False
        # Not waited for at the end: a call to a queue that has died returns never.
        self._thread = threading.Thread(target=self._work, name="arrivals", daemon=True)

    def take(self, step: int) -> Batch | None:
        """Return the batch of a step if it came; those of this step and before are forgotten."""
        with self._changed:
            found = self._batches.get(step)
            self._asked += 1
            self._in_time += found is not None
            self._next = step + 1
            self._batches = {s: b for s, b in self._batches.items() if s > step}
            self._changed.notify_all()
            return found

    def __enter__(self) -> "Arrivals":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        logging.info("%d of %d target batches came in time", self._in_time, self._asked)
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        told = False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or len(self._batches) < self._most)
                if self._closed:
                    return
            try:
                loaded = self._receive()
            except Exception as error:
                if not told:
                    _LOGGER.warning("no target batches from the loaders: %s", error)
                told, loaded = True, None
            if loaded is None:
                time.sleep(_POLL_SECONDS)
                continue
            told = False
            with self._changed:
                step, batch = loaded
                if step >= self._next:
                    self._batches[step] = batch


def receive_from(client: Any) -> Callable[[], Loaded | None]:
    """Return what takes the next batch out of the queue of a `reverb.Client`, if there is one."""

    def receive() -> Loaded | None:
        # A sample waits for ever for an item; this call has an end.
        if not client.server_info(timeout=_CALL_SECONDS)[TABLE].current_size:
            return None
        (sample,) = client.sample(TABLE, emit_timesteps=False)
        step, x_t, y_t = sample.data
        return int(step), (x_t, y_t)

    return receive


def load(
    job: Job, client: Any, *, index: int, loaders: int, should_stop: Callable[[], bool]
) -> None:
    """Make every so many-th target batch of a run and queue it, as fast as the queue takes them.

    Args:
        job: the run, of which the last checkpoint tells where to begin.
        client: a `reverb.Client`.
        index: which of the loaders this is, from 0.
        loaders: how many there are.
        should_stop: asked often whether to end.

    Raises:
        RuntimeError: if the queue is gone.
    """
    first = _first_step(job)
    batches = job.batches(job.fit_transform(), augmented=True)
    with client.trajectory_writer(num_keep_alive_refs=1) as writer:
        for step in range(first + index, job.schedule.steps, loaders):
            if should_stop():
                return
            writer.append([np.int64(step), *batches.batch(step)])
            writer.create_item(TABLE, 1.0, [column[-1] for column in writer.history])
            while not _flushed(writer):
                if should_stop():
                    return


def _first_step(job: Job) -> int:
    """Return the step at which the server is, or was at its last checkpoint."""
    if not job.folder.checkpoints.exists():
        return 0
    saved = CheckpointStore(job.folder.checkpoints).latest()
    return 0 if saved is None else saved.step


def _flushed(writer: Any) -> bool:
    """Wait a little for the queue to take what was written, and return whether it did."""
    import reverb

    try:
        writer.flush(timeout_ms=200)
    except reverb.errors.DeadlineExceededError:
        return False
    return True


def queue_tables(loaders: int) -> list[Any]:
    """Return the tables of the Reverb server: a queue that makes loaders wait when it is full."""
    import reverb

    return [reverb.Table.queue(TABLE, max_size=AHEAD * loaders)]
