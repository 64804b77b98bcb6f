"""The loop of a run: step, score, record, save; and go on where the last process was.

A run that was stopped in any way, kill -9 included, and begun again ends in the same bits as one
that was not: the state is saved unrounded, target batches are functions of (seed, step), and what
was recorded after the last checkpoint is dropped and done again.
"""

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from stillhouse.data.recipes import Recipe, recipe_to_plain
from stillhouse.methods.algorithm import (
    Algorithm,
    Interrupted,
    LearnsRecipe,
    NonFiniteStepError,
)
from stillhouse.methods.programs import KERNEL_ELEMENTS
from stillhouse.methods.tasks import SpoiledError, Tally
from stillhouse.server.audit import Audit
from stillhouse.server.checkpoints import Checkpoint, CheckpointError, CheckpointStore
from stillhouse.server.metrics import MetricsLog
from stillhouse.server.outcome import Outcome, key
from stillhouse.server.run_folder import RunFolder
from stillhouse.server.schedule import Progress, Schedule

S = TypeVar("S")
T = TypeVar("T")
_log = logging.getLogger(__name__)
# Where a step takes a minute, a kill -9 must not cost fifty of them.
_SECONDS_BETWEEN_CHECKPOINTS = 300.0


def distil(
    algorithm: Algorithm[S],
    *,
    schedule: Schedule,
    tally: Tally,
    folder: RunFolder,
    should_stop: Callable[[], bool] = lambda: False,
    report: Callable[[Progress], None] = lambda progress: None,
    computed_by: Callable[[], Mapping[str, Any]] = dict,
    audit: Audit | None = None,
) -> Outcome:
    """Run a method to its end, from its beginning or from the last checkpoint.

    Args:
        algorithm: the method.
        schedule: how long it runs, and when it scores and saves.
        tally: the runner of the method's tasks, whose work is recorded.
        folder: the run's folder, made.
        should_stop: asked after each step whether to give up.
        report: told of the progress; keep it quick.
        computed_by: says on what kinds of computer the run has been computed, to be saved with it.
        audit: counts the results that were compared; it goes on from what was saved.

    Raises:
        Interrupted: if `should_stop` said so; the state is saved.
        FloatingPointError: if the run met NaN or infinity; the message names the step, and the
            last checkpoint is that of a step before.
        CheckpointError: if the last checkpoint is not one of this method.
        OSError: if the folder cannot be written. A checkpoint that cannot be is a warning, and the
            next one, or the result, makes up for it.
    """
    store = CheckpointStore(folder.checkpoints)
    saved = store.latest()
    last_step = None if saved is None else saved.step
    with MetricsLog(folder.metrics, folder.tensorboard, last_step=last_step) as metrics:
        run = _Run(algorithm, schedule, tally, store, metrics, should_stop, report, computed_by)
        run.audit = audit or run.audit
        try:
            if saved is None:
                run.begin()
            else:
                run.restore(saved)
            return run.to_the_end()
        except Interrupted as interruption:
            run.save()
            raise type(interruption)(run.step) from interruption
        except (NonFiniteStepError, CheckpointError):
            raise  # The first names the step itself.
        except (FloatingPointError, ValueError) as error:
            # Sizes were checked before the run: what a program refuses by now is a value.
            done = run.step == schedule.steps
            where = "the last evaluation" if done else f"step {run.step + 1}"
            raise FloatingPointError(f"{where}: {error}") from error


@dataclasses.dataclass
class _Run(Generic[S]):
    """A run in this process. What it holds is always that after `step` whole steps."""

    algorithm: Algorithm[S]
    schedule: Schedule
    tally: Tally
    store: CheckpointStore
    metrics: MetricsLog
    should_stop: Callable[[], bool]
    report: Callable[[Progress], None]
    computed_by: Callable[[], Mapping[str, Any]]
    audit: Audit = dataclasses.field(default_factory=Audit)
    step: int = 0
    state: S | None = None
    scores: Mapping[str, float] | None = None
    work: Mapping[str, int] = dataclasses.field(default_factory=dict)
    saved_step: int | None = None

    def __post_init__(self) -> None:
        self._started = self._saved_at = time.monotonic()
        self._seconds_before = 0.0

    def begin(self) -> None:
        counter = _Counter(self.tally)
        state = self._trusted(self.algorithm.begin)
        if self.schedule.evaluates(0):
            self.scores = self._trusted(lambda: self.algorithm.score(state))
            self._record(0, self.scores, {})
        self.state, self.work = state, counter.added_to({})
        self.save()

    def restore(self, saved: Checkpoint) -> None:
        try:
            self.state = self.algorithm.restore(saved.arrays)
            self.scores, self.work = _scores_and_work(saved.meta)
            self._seconds_before = float(saved.meta["seconds"])
            self.audit.go_on(saved.meta.get("audit", {}))
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"the checkpoint of step {saved.step} is not one of this run ({error}); delete "
                "it, or give another folder"
            ) from error
        self.step = self.saved_step = saved.step

    def to_the_end(self) -> Outcome:
        self.report(Progress(self.step, self.schedule.steps, self.scores or {}))
        while self.step < self.schedule.steps:
            if self.should_stop():
                raise Interrupted
            self._advance()
            late = time.monotonic() - self._saved_at > _SECONDS_BETWEEN_CHECKPOINTS
            if late or self.step % self.schedule.checkpoint_every == 0:
                self._try_to_save()
        # What is in memory need not be lost with a checkpoint: the result is written either way.
        self._try_to_save()
        return self._outcome()

    def save(self) -> None:
        """Save what there is, if it is not saved yet."""
        if self.state is None or self.step == self.saved_step:
            return
        self.metrics.sync()
        meta: dict[str, Any] = {
            **{"scores": self.scores, "work": self.work, "seconds": self._seconds()},
            **self.computed_by(),
        }
        if audit := self.audit.describe():
            meta["audit"] = audit
        recipe = self._recipe(self.state)
        if recipe is not None:
            meta["recipe"] = recipe_to_plain(recipe)
        support = self.algorithm.support(self.state)
        self.store.save(Checkpoint(self.step, self.algorithm.save(self.state), meta, support))
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
        before = self.state
        assert before is not None

        def compute() -> tuple[S, dict[str, float], Mapping[str, float] | None, _Counter]:
            scores, counter = self.scores, _Counter(self.tally)
            state, values = self.algorithm.advance(before, self.step + 1)
            speeds.update(counter.per_second())
            if self.schedule.evaluates(self.step + 1):
                scores = self.algorithm.score(state)
                values = {**values, **scores}
            return state, values, scores, counter

        speeds: dict[str, float] = {}
        state, values, scores, counter = self._trusted(compute)
        self._record(self.step + 1, values, speeds)
        self.state, self.scores, self.step = state, scores, self.step + 1
        self.work = counter.added_to(self.work)
        self.report(Progress(self.step, self.schedule.steps, values, speeds))

    def _trusted(self, compute: Callable[[], T]) -> T:
        """Return what is computed, from the start again where a worker is found out meanwhile."""
        while True:
            try:
                return compute()
            except SpoiledError as error:
                _log.warning("step %d is computed again: %s", self.step + 1, error)

    def _outcome(self) -> Outcome:
        assert self.state is not None and self.scores is not None, "the last step is evaluated"
        images, labels = self.algorithm.support(self.state)
        counter = _Counter(self.tally)
        state, last = self.state, self.scores
        final = self._trusted(lambda: self.algorithm.final_scores(state, last))
        scores = {**last, **final}
        work = counter.added_to(self.work)
        recipe = self._recipe(self.state)
        return Outcome(images, labels, scores, self.step, self._seconds(), work, recipe)

    def _recipe(self, state: S) -> Recipe | None:
        algorithm = self.algorithm
        return algorithm.recipe(state) if isinstance(algorithm, LearnsRecipe) else None

    def _record(self, step: int, values: Mapping[str, float], speeds: Mapping[str, float]) -> None:
        extra = {f"{key(unit)}_per_second": round(speed, 1) for unit, speed in speeds.items()}
        values = {**values, **extra, "seconds": self._seconds()}
        self.metrics.write(step, values, wall_time=time.time())

    def _seconds(self) -> float:
        return round(self._seconds_before + time.monotonic() - self._started, 3)


class _Counter:
    """Work units, and how fast they came, since it was made."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._first, self._started = dict(tally.work), time.monotonic()

    def _work(self) -> dict[str, int]:
        counts = {unit: n - self._first.get(unit, 0) for unit, n in self._tally.work.items()}
        return {unit: count for unit, count in counts.items() if count}

    def added_to(self, work: Mapping[str, int]) -> dict[str, int]:
        """Return the work of before, and what has come since."""
        new = self._work()
        return {unit: work.get(unit, 0) + new.get(unit, 0) for unit in {**work, **new}}

    def per_second(self) -> dict[str, float]:
        seconds = max(time.monotonic() - self._started, 1e-9)
        return {unit: count / seconds for unit, count in self._work().items()}


def _scores_and_work(
    meta: Mapping[str, Any],
) -> tuple[Mapping[str, float] | None, Mapping[str, int]]:
    """Return what a checkpoint carries on, also one of the first format."""
    if "kernel_elements" in meta:
        test = meta["test"]
        scores = None if test is None else {f"test_{name}": test[name] for name in test}
        return scores, {KERNEL_ELEMENTS: int(meta["kernel_elements"])}
    return meta["scores"], {unit: int(count) for unit, count in meta["work"].items()}
