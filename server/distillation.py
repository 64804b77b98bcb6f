"""The loop of a run: step, score, record, save; and go on where the last process was.

A run that was stopped in any way, kill -9 included, and begun again ends in the same bits as one
that was not: the state is saved unrounded, target batches are functions of (seed, step), and what
was recorded after the last checkpoint is dropped and done again.
"""

import dataclasses
import logging
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from stillhouse.methods.computer import KernelComputer
from stillhouse.methods.evaluation import Scores
from stillhouse.methods.kip import NonFiniteLossError
from stillhouse.server.algorithms import Algorithm
from stillhouse.server.checkpoints import Checkpoint, CheckpointError, CheckpointStore
from stillhouse.server.evaluation import Evaluation, Interrupted
from stillhouse.server.metrics import MetricsLog
from stillhouse.server.outcome import Outcome
from stillhouse.server.run_folder import RunFolder
from stillhouse.server.schedule import Progress, Schedule

S = TypeVar("S")
_log = logging.getLogger(__name__)
# Where a step takes a minute, a kill -9 must not cost fifty of them.
_SECONDS_BETWEEN_CHECKPOINTS = 300.0


def distil(
    algorithm: Algorithm[S],
    *,
    schedule: Schedule,
    evaluation: Evaluation,
    folder: RunFolder,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:
    """Run a method to its end, from its beginning or from the last checkpoint.

    Args:
        algorithm: the method.
        schedule: how long it runs, and when it scores and saves.
        evaluation: scores the support set; its `should_stop` is asked after each step too.
        folder: the run's folder, made.
        report: told of the progress; keep it quick.

    Raises:
        Interrupted: if `should_stop` said so; the state is saved.
        FloatingPointError: if the run met NaN or infinity; the message names the step, and the
            last checkpoint is that of a step before.
        CheckpointError: if the last checkpoint is not one of this method.
        OSError: if the folder cannot be written; the last checkpoint is as it was. One that fails
            on the way is a warning, and the next one makes up for it.
    """
    store = CheckpointStore(folder.checkpoints)
    saved = store.latest()
    last_step = None if saved is None else saved.step
    with MetricsLog(folder.metrics, folder.tensorboard, last_step=last_step) as metrics:
        run = _Run(algorithm, schedule, evaluation, store, metrics, report)
        try:
            if saved is None:
                run.begin()
            else:
                run.restore(saved)
            return run.to_the_end()
        except Interrupted as interruption:
            run.save()
            raise Interrupted(run.step) from interruption
        except (NonFiniteLossError, CheckpointError):
            raise  # The first names the step itself.
        except (FloatingPointError, ValueError) as error:
            # Sizes were checked before the run: what a kernel refuses by now is a value.
            done = run.step == schedule.steps
            where = "the last evaluation" if done else f"step {run.step + 1}"
            raise FloatingPointError(f"{where}: {error}") from error


@dataclasses.dataclass
class _Run(Generic[S]):
    """A run in this process. What it holds is always that after `step` whole steps."""

    algorithm: Algorithm[S]
    schedule: Schedule
    evaluation: Evaluation
    store: CheckpointStore
    metrics: MetricsLog
    report: Callable[[Progress], None]
    step: int = 0
    state: S | None = None
    test: Scores | None = None
    elements: int = 0
    saved_step: int | None = None

    def __post_init__(self) -> None:
        self._started = self._saved_at = time.monotonic()
        self._seconds_before = 0.0

    def begin(self) -> None:
        counter = _Counter(self.evaluation.computer)
        state = self.algorithm.begin()
        if self.schedule.evaluates(0):
            self.test = self.evaluation.test(*self.algorithm.support(state))
            self._record(0, _test_values(self.test), 0.0)
        self.state, self.elements = state, counter.elements
        self.save()

    def restore(self, saved: Checkpoint) -> None:
        try:
            self.state = self.algorithm.restore(saved.arrays)
            self.test = None if saved.meta["test"] is None else Scores(**saved.meta["test"])
            self.elements = int(saved.meta["kernel_elements"])
            self._seconds_before = float(saved.meta["seconds"])
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"the checkpoint of step {saved.step} is not one of this run ({error}); delete "
                "it, or give another folder"
            ) from error
        self.step = self.saved_step = saved.step

    def to_the_end(self) -> Outcome:
        values = {} if self.test is None else _test_values(self.test)
        self.report(Progress(self.step, self.schedule.steps, values))
        while self.step < self.schedule.steps:
            if self.evaluation.should_stop():
                raise Interrupted
            self._advance()
            late = time.monotonic() - self._saved_at > _SECONDS_BETWEEN_CHECKPOINTS
            if late or self.step % self.schedule.checkpoint_every == 0:
                self._try_to_save()
        self.save()
        return self._outcome()

    def save(self) -> None:
        """Save what there is, if it is not saved yet."""
        if self.state is None or self.step == self.saved_step:
            return
        self.metrics.sync()
        test = None if self.test is None else dataclasses.asdict(self.test)
        meta = {"test": test, "kernel_elements": self.elements, "seconds": self._seconds()}
        self.store.save(Checkpoint(self.step, self.algorithm.save(self.state), meta))
        self.saved_step, self._saved_at = self.step, time.monotonic()

    def _try_to_save(self) -> None:
        """Save, or go on without: by the next checkpoint somebody may have made room."""
        try:
            self.save()
        except OSError as error:
            last = "none" if self.saved_step is None else f"that of step {self.saved_step}"
            _log.warning(
                "step %d is not saved (%s); the run goes on, the last checkpoint is %s",
                *(self.step, error.strerror or error, last),
            )
            self._saved_at = time.monotonic()

    def _advance(self) -> None:
        """Take a step; one that fails or is interrupted leaves all as it was."""
        assert self.state is not None
        test, counter = self.test, _Counter(self.evaluation.computer)
        state, values = self.algorithm.advance(self.state, self.step + 1)
        speed = counter.per_second
        if self.schedule.evaluates(self.step + 1):
            test = self.evaluation.test(*self.algorithm.support(state))
            values |= _test_values(test)
        self._record(self.step + 1, values, speed)
        self.state, self.test, self.step = state, test, self.step + 1
        self.elements += counter.elements
        self.report(Progress(self.step, self.schedule.steps, values, speed))

    def _outcome(self) -> Outcome:
        assert self.state is not None and self.test is not None, "the last step is evaluated"
        images, labels = self.algorithm.support(self.state)
        first, *others = self.evaluation.kernels
        counter = _Counter(self.evaluation.computer)
        test = {first: self.test}
        test |= {name: self.evaluation.test(images, labels, name) for name in others}
        train = self.evaluation.train(images, labels, self.step)
        elements = self.elements + counter.elements
        return Outcome(images, labels, test, train, self.step, self._seconds(), elements)

    def _record(self, step: int, values: dict[str, float], speed: float) -> None:
        extra = {"elements_per_second": round(speed, 1), "seconds": self._seconds()}
        self.metrics.write(step, {**values, **extra}, wall_time=time.time())

    def _seconds(self) -> float:
        return round(self._seconds_before + time.monotonic() - self._started, 3)


class _Counter:
    """Kernel elements, and how fast they came, since it was made."""

    def __init__(self, computer: KernelComputer) -> None:
        self._computer = computer
        self._first, self._started = computer.elements, time.monotonic()

    @property
    def elements(self) -> int:
        return self._computer.elements - self._first

    @property
    def per_second(self) -> float:
        return self.elements / max(time.monotonic() - self._started, 1e-9)


def _test_values(scores: Scores) -> dict[str, float]:
    return {"test_accuracy": scores.accuracy, "test_mse": scores.mse}
