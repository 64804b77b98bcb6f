"""Training finite networks on a small set, and what they then make of test images."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator

import jax
import numpy as np
import optax

from stillhouse.analysis.train_config import TrainConfig
from stillhouse.analysis.train_result import CurvePoint, SeedResult, TrainResult
from stillhouse.data.arrays import as_images, as_labels, check_classes
from stillhouse.data.sampling import rng_for
from stillhouse.networks.descent import (
    EVALUATION_BATCH,
    Programs,
    accuracy,
    descend,
    looked_at,
    programs_for,
)
from stillhouse.networks.siamese import augmented_batches
from stillhouse.networks.stable_rate import largest_stable_rate
from stillhouse.networks.training_set import TrainingSet

__all__ = [
    "CurvePoint",
    "SeedResult",
    "TrainConfig",
    "TrainProgress",
    "TrainResult",
    "train_networks",
    "train_on_draws",
]

_RATE_IMAGES = 50  # As published.
_CURVE_POINTS = 100


@dataclasses.dataclass(frozen=True)
class TrainProgress:
    """How far training has come.

    Attributes:
        network: which one is trained, from 0.
        step: steps taken.
        loss: as of `CurvePoint`.
        train_accuracy: as of `CurvePoint`.
    """

    network: int
    step: int
    loss: float
    train_accuracy: float


Report = Callable[[TrainProgress], None]
Draw = Callable[[int], tuple[np.ndarray, np.ndarray]]


def train_networks(
    config: TrainConfig,
    images: np.ndarray,
    labels: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    *,
    progress: Report | None = None,
) -> TrainResult:
    """Train a network for each seed on a set, and let it predict test images.

    A network whose loss becomes NaN or infinite is given up at once. The result is a pure function
    of the arguments, to the bit on one processor.

    Args:
        config: what to train, and how.
        images: float32 `[s, h, w, c]`, transformed.
        labels: soft or hard ones `[s, k]`, centred or not, or integer classes `[s]`. The loss "mse"
            takes `[s, k]` as they are but for their scale, and centres classes; "xent" takes the
            class where a label is largest, as published.
        x_test: test images `[n, h, w, c]`, in the same space.
        y_test: their integer classes `[n]`.
        progress: called after each step, a few steps late.

    Raises:
        ValueError: if shapes do not agree, a class is unknown, the images are too small for the
            network, or the device cannot hold a step.
        FloatingPointError: if every network diverges, or has no finite outputs to begin with.

    References:
        Nguyen, Novak, Xiao, Lee. Dataset Distillation with Infinitely Wide Convolutional
        Networks. NeurIPS 2021, https://arxiv.org/abs/2107.13034 (the recipe: the learning rate
        relative to the largest stable one for 50 inputs, momentum 0.9, batches of 100, a cosine to
        zero)
    """
    return train_on_draws(config, lambda seed: (images, labels), x_test, y_test, progress=progress)


def train_on_draws(
    config: TrainConfig,
    draw: Draw,
    x_test: np.ndarray,
    y_test: np.ndarray,
    *,
    progress: Report | None = None,
) -> TrainResult:
    """Train a network for each seed, on the set that is drawn for it.

    Args:
        config: what to train, and how.
        draw: from a seed to the `images` and `labels` of `train_networks`.
        x_test: as there, and so are the rest, the result and the errors.
        y_test: as there.
        progress: as there.
    """
    x_test = as_images(x_test, "`x_test`").astype(np.float32, copy=False)
    y_test = as_labels(y_test, "`y_test`")
    if len(x_test) != len(y_test):
        raise ValueError(f"{len(x_test)} `x_test` but {len(y_test)} `y_test`")
    runs = []
    for number in range(config.seeds):
        images, labels = draw(config.seed + number)
        # Integer classes name no more than the largest of them.
        largest = max(int(np.max(y_test)), int(np.max(labels)) if np.ndim(labels) == 1 else 0)
        train = TrainingSet.of(
            config.loss, images, labels, largest + 1, label_scale=config.label_scale
        )
        if x_test.shape[1:] != train.images.shape[1:]:
            raise ValueError(
                f"`images` and `x_test` must have one size, got shapes {train.images.shape} and "
                f"{x_test.shape}"
            )
        check_classes(y_test, train.targets.shape[1], "`y_test`")
        h, w, c = train.images.shape[1:]
        programs = programs_for(config.network, config.objective, (h, w, c), train.targets.shape[1])
        programs.check_batch(min(config.batch_size, len(train.images)))
        runs.append(_Training(config, programs, number, train, x_test, y_test, progress).run())
    if all(run.diverged_at is not None for run in runs):
        rate = runs[0].learning_rate
        raise FloatingPointError(
            f"the loss became NaN or infinite at step {runs[0].diverged_at} with learning rate "
            f"{rate:.4g}; try a lower one, such as {rate / 4:.2g}"
        )
    return TrainResult(tuple(runs), programs.network.num_parameters, len(images), len(x_test))


class _Training:
    """The training of one network: what it has become, and what was seen on the way."""

    def __init__(
        self,
        config: TrainConfig,
        programs: Programs,
        number: int,
        train: TrainingSet,
        x_test: np.ndarray,
        y_test: np.ndarray,
        progress: Report | None,
    ) -> None:
        self._config, self._programs, self._number = config, programs, number
        self._train, self._x_test, self._y_test = train, x_test, y_test
        self._progress = progress
        self._seed = config.seed + number
        self._params, self._state = programs.network.init(self._seed)
        self._curve: list[CurvePoint] = []

    def run(self) -> SeedResult:
        """Train, and return what came of it."""
        began = time.monotonic()
        rate = self._config.learning_rate or self._found_rate()
        bad = self._descend(rate)
        tested = None if bad is not None else self._curve[-1].test_accuracy
        seconds = time.monotonic() - began
        return SeedResult(self._seed, rate, tested, bad, seconds, tuple(self._curve))

    def _found_rate(self) -> float:
        images = self._train.images
        shown = rng_for(self._seed, "rate images").permutation(len(images))[:_RATE_IMAGES]
        return self._config.rate_factor * largest_stable_rate(
            self._programs.kernel_product,
            (len(shown), self._train.targets.shape[1]),
            self._params,
            self._state,
            images[shown],
            momentum=self._config.momentum,
        )

    def _descend(self, rate: float) -> int | None:
        """Take all steps; return the one at which the loss was not finite, if there is one."""
        last = self._config.steps
        every = max(1, last // _CURVE_POINTS)
        for (step, tested), values in looked_at(self._steps(rate)):
            loss, right = float(values[0]), float(values[1])
            if not math.isfinite(loss):
                return step
            if self._progress is not None:
                self._progress(TrainProgress(self._number, step, loss, right))
            if (step % every == 0 or tested is not None) and step < last:
                self._curve.append(CurvePoint(step, loss, right, tested))
        on_train = self._accuracy(self._train.images, self._train.targets.argmax(axis=1))
        on_test = self._accuracy(self._x_test, self._y_test)
        self._curve.append(CurvePoint(last, loss, on_train, on_test))
        return None

    def _steps(self, rate: float) -> Iterator[tuple[tuple[int, float | None], jax.Array]]:
        """Take each step; yield its number, the test accuracy where it is due, and its values."""
        config = self._config
        schedule = optax.cosine_decay_schedule(rate, config.steps)
        rates = np.asarray(schedule(np.arange(config.steps)), np.float32)
        batches = self._train.batches(config.batch_size, self._seed)
        if config.augmentation is not None:
            batches = augmented_batches(batches, config.augmentation, self._seed)
        steps = descend(self._programs, self._params, self._state, rates, batches)
        for step, (self._params, self._state, values) in enumerate(steps, 1):
            due = config.eval_every and step % config.eval_every == 0 and step < config.steps
            tested = self._accuracy(self._x_test, self._y_test) if due else None
            yield (step, tested), values

    def _accuracy(self, x: np.ndarray, y: np.ndarray) -> float:
        size = min(EVALUATION_BATCH, len(self._x_test))
        return accuracy(self._programs, self._params, self._state, x, y, batch=size)
