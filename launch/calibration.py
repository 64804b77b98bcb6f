"""How long a run will take here, from a few seconds of its own work."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from stillhouse.data.batches import TargetBatches
from stillhouse.kernels.spec import KernelSpec
from stillhouse.launch.job import Job
from stillhouse.launch.sampling import SampledStep, SamplingRunner
from stillhouse.methods.algorithm import Algorithm
from stillhouse.methods.coresets import noise_images
from stillhouse.methods.costs import step_elements
from stillhouse.methods.kernel_regression.kernel_settings import KernelSettings
from stillhouse.methods.kernel_regression.ridge import krr_step
from stillhouse.methods.kernel_regression.tiled import TiledComputer

# Blocks grow until one pass takes this long: short ones are all overhead.
_LONG_ENOUGH = 0.5
_FIRST = (4, 8)  # support images and targets


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What parts of a run take on this machine, in seconds.

    Attributes:
        forward: to compute a kernel element.
        backward: to differentiate one; 0 for a method that does not.
        image: to transform an image.
        batch: to make the target batch of a step.
        ridge: of a step, to solve the ridge regression.
        start: to fit the transform and to compile.
    """

    forward: float
    backward: float
    image: float
    batch: float
    ridge: float
    start: float

    @property
    def step(self) -> float:
        """Seconds of a step, beside its kernel."""
        return self.batch + self.ridge

    def seconds(self, job: Job) -> float:
        """Return how long the whole run will take."""
        cost = job.cost
        kernels = cost.forward_elements * self.forward + cost.backward_elements * self.backward
        images = job.schedule.evaluations * len(job.dataset.y_test)
        return self.start + kernels + job.schedule.steps * self.step + images * self.image


@dataclasses.dataclass(frozen=True)
class StepCalibration:
    """What whole steps of a run take on this machine, in seconds.

    Attributes:
        alone: of a step, beside its tasks: the target batch, what is made of the results.
        tasks: the tasks of a step, and how long they take.
        score: to score the set.
        start: to fit the transform, to begin and to compile.
        batch: of what a step takes beside its tasks, to make the target batch.
    """

    alone: float
    tasks: SampledStep
    score: float
    start: float
    batch: float = 0.0

    @property
    def step(self) -> float:
        """Seconds of a step, its tasks one after another."""
        return self.alone + self.tasks.seconds

    def seconds(self, job: Job) -> float:
        """Return how long the whole run will take."""
        steps, scores = job.schedule.steps * self.step, job.schedule.evaluations * self.score
        return self.start + steps + scores


def calibrate_steps(job: Job) -> StepCalibration:
    """Time a step of a run, warm, and scoring its set: for whatever method, in memory alone.

    Of tasks that are alike one is computed; see `SamplingRunner`.
    """
    found, algorithm, state = _time_steps(job)
    if isinstance(job.config.own, KernelSettings):
        # Tiles of one kernel, whose time is known from a few of them.
        elements = calibrate(job)
        score = elements.forward * step_elements(job.support_size, len(job.dataset.y_test))
    else:
        _, score = _timed(algorithm.score, state)
    return dataclasses.replace(found, score=score)


def sample_step(job: Job) -> SampledStep:
    """Return the tasks of a step of a run, timed; what scoring its set takes is left out."""
    return _time_steps(job)[0].tasks


def step_seconds(job: Job) -> float:
    """Return the seconds of a step of a run, its tasks one after another."""
    return _time_steps(job)[0].step


def _time_steps(job: Job) -> tuple[StepCalibration, Algorithm[Any], Any]:
    """Return what steps take, the method, and its state at the beginning.

    That is what is to be scored: what a step makes of results that are not its own may be anything.
    """
    job = _with_a_large_ridge(job)
    transform, start = _timed(job.fit_transform)
    targets = _TimedBatches.over(job.batches(transform, augmented=True))
    sampling = SamplingRunner(job.runner)
    algorithm = job.algorithm(transform, targets, sampling, lambda: False)
    state, begin = _timed(algorithm.begin)
    (after, _), cold = _timed(algorithm.advance, state, 1)
    warm = cold
    if job.schedule.steps > 1:
        sampling.begin()
        targets.spent.clear()
        (after, _), warm = _timed(algorithm.advance, after, 2)
    tasks = sampling.step()
    alone = max(warm - tasks.computed, 0.0)
    batch = min(sum(targets.spent), alone)
    found = StepCalibration(alone, tasks, 0.0, start + begin + max(cold - warm, 0.0), batch)
    return found, algorithm, state


def _with_a_large_ridge(job: Job) -> Job:
    """Return a run that takes as long, whose kernel is never singular.

    Networks that are given each other's features have no more of them than one.
    """
    if not isinstance(job.config.own, KernelSettings):
        return job
    own = dataclasses.replace(job.config.own, regularisation=1.0)
    return dataclasses.replace(job, config=dataclasses.replace(job.config, own=own))


def calibrate(job: Job) -> Calibration:
    """Time the parts of a run: small blocks forward and backward, warm; a batch; the ridge.

    With several kernels it is their mean.

    Raises:
        ValueError: if its method is none of kernel regression.
    """
    kernels, learns = _kernels_of(job)
    transform, start = _timed(job.fit_transform)
    batches = job.batches(transform, augmented=True)
    (x_t, y_t), batch = _timed(batches.batch, 0)
    raw = job.dataset.x_train[: min(len(x_t), 256)]
    _, image = _timed(transform.apply, raw)
    shape, classes = job.dataset.image_shape, job.dataset.num_classes
    x_s, _ = noise_images(shape, job.support_size, num_classes=classes, seed=0)
    forward, backward = [], []
    for spec in kernels.values():
        blocks = _Blocks(job, spec, x_s, x_t)
        forward.append(blocks.per_element(blocks.forward))
        if learns:
            backward.append(blocks.per_element(blocks.backward))
        start += blocks.warming
    ridge_warm, ridge_cold = _ridge_seconds(job, y_t) if learns else (0.0, 0.0)
    start += ridge_cold
    mean_backward = float(np.mean(backward)) if backward else 0.0
    per_image = image / len(raw)
    return Calibration(float(np.mean(forward)), mean_backward, per_image, batch, ridge_warm, start)


def _kernels_of(job: Job) -> tuple[dict[str, KernelSpec], bool]:
    """Return the kernels of a run, and whether it differentiates them."""
    if not isinstance(job.config.own, KernelSettings):
        raise ValueError(f"{job.config.method.method} computes no kernels")
    return job.config.own.kernels(), job.cost.backward_elements > 0


class _Blocks:
    """Blocks of a kernel, timed at growing sizes."""

    def __init__(self, job: Job, spec: KernelSpec, x_s: np.ndarray, x_t: np.ndarray) -> None:
        self._computer, self._spec = TiledComputer(job.runner), spec
        self._x_s, self._x_t = x_s, x_t
        self.warming = 0.0

    def forward(self, s: int, t: int) -> None:
        self._computer.forward(self._spec, self._x_s[:s], self._x_t[:t])

    def backward(self, s: int, t: int) -> None:
        g_ss, g_ts = np.ones((s, s), np.float32), np.ones((t, s), np.float32)
        self._computer.backward(self._spec, self._x_s[:s], self._x_t[:t], g_ss, g_ts)

    def per_element(self, pass_over: Callable[[int, int], None]) -> float:
        """Return the seconds of an element, at the first size that takes long enough."""
        most = len(self._x_s), len(self._x_t)
        s, t = min(_FIRST[0], most[0]), min(_FIRST[1], most[1])
        while True:
            _, cold = _timed(pass_over, s, t)
            _, warm = _timed(pass_over, s, t)
            self.warming = max(self.warming, cold - warm)
            if warm > _LONG_ENOUGH or (s, t) == most:
                return warm / step_elements(s, t)
            s, t = min(2 * s, most[0]), min(4 * t, most[1])


def _ridge_seconds(job: Job, y_t: np.ndarray) -> tuple[float, float]:
    """Return the seconds of the ridge regression of a step, and those of compiling it."""
    s, t = job.support_size, len(y_t)
    K_ts = np.random.default_rng(0).standard_normal((t, s)).astype(np.float32)
    y_s = np.ones((s, y_t.shape[1]), np.float32)

    def ridge() -> None:
        krr_step(np.eye(s, dtype=np.float32), K_ts, y_s, y_t)

    cold, warm = _timed(ridge)[1], _timed(ridge)[1]
    return warm, max(cold - warm, 0.0)


@dataclasses.dataclass(frozen=True, eq=False)
class _TimedBatches(TargetBatches):
    """Target batches that take note of how long they take.

    Attributes:
        spent: the seconds of each.
    """

    spent: list[float] = dataclasses.field(kw_only=True, default_factory=list)

    def obtain(self, make: Callable[[int], Any], step: int) -> Any:
        made, seconds = _timed(make, step)
        self.spent.append(seconds)
        return made


def _timed(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    started = time.perf_counter()
    result = work(*arguments)
    return result, time.perf_counter() - started
