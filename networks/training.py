"""Training one network on real images: from a seed to weights, the same wherever it happens."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from stillhouse.data.sampling import rng_for
from stillhouse.data.transforms import Transform
from stillhouse.networks.descent import accuracy, descend, looked_at, programs_for
from stillhouse.networks.spec import NetworkSpec
from stillhouse.networks.training_spec import TrainingSpec


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingData:
    """What networks are trained on and tested with.

    Attributes:
        x_train: raw images `[n, h, w, c]`, uint8 or float32.
        y_train: their integer classes `[n]`.
        x_test: test images `[m, h, w, c]`.
        y_test: their classes `[m]`.
        num_classes: the number of outputs k.
        transform: brings raw images to what the networks see, a batch at a time.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    num_classes: int
    transform: Transform


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """What came of training a network.

    Attributes:
        weights: float32 `[size]`, as `Network.pack` returns them.
        test_accuracy: the share of test images whose class it predicts.
        train_accuracy: the share of training images, each as it was met in the last epoch.
        train_loss: the mean loss of the last epoch, without L2.
        snapshots: the weights along the way, float32 `[t, size]`.
    """

    weights: np.ndarray
    test_accuracy: float
    train_accuracy: float
    train_loss: float
    snapshots: np.ndarray


def train_network(
    spec: NetworkSpec,
    training: TrainingSpec,
    seed: int,
    data: TrainingData,
    *,
    progress: Callable[[int, float], None] | None = None,
) -> TrainedNetwork:
    """Train a network on real images, and test it.

    The result is a pure function of the arguments: weights and the order of images come from the
    seed, by NumPy. To the bit it is so on one kind of device; on a processor, where XLA sees as
    many cores.

    Args:
        spec: which network.
        training: how it is trained.
        seed: of its weights, of the images it gets where it does not get all, and of their order.
        data: the images.
        progress: told the step and its loss, a few steps late.

    Raises:
        ValueError: if there is no such network for these images, or the device cannot hold a step.
        FloatingPointError: if the loss becomes NaN or infinite.
    """
    h, w, c = data.x_train.shape[1:]
    programs = programs_for(spec, training.objective, (h, w, c), data.num_classes)
    network = programs.network
    chosen = images_of_fraction(data.y_train, training.fraction, seed)
    programs.check_batch(min(training.batch_size, len(chosen)))
    steps = training.steps(len(chosen))
    due = training.snapshot_steps(len(chosen))
    params, state = network.init(seed)
    snapshots = [network.pack(params, state)] if due else []
    last_epoch = steps - training.steps_per_epoch(len(chosen))
    values_of_last: list[np.ndarray] = []

    def walk() -> Iterator[tuple[int, jax.Array]]:
        nonlocal params, state
        batches = _batches(data, chosen, training.batch_size, seed)
        walked = descend(programs, params, state, training.rates(steps), batches)
        for step, (params, state, values) in enumerate(walked, 1):
            if step in due:
                snapshots.append(network.pack(params, state))
            yield step, values

    for step, values in looked_at(walk()):
        if not math.isfinite(values[0]):
            raise FloatingPointError(
                f"the loss became NaN or infinite at step {step} of {steps}; try a lower learning "
                f"rate than {training.learning_rate:g}, such as {training.learning_rate / 4:.2g}"
            )
        if step > last_epoch:
            values_of_last.append(values)
        if progress is not None:
            progress(step, float(values[0]))
    loss, right = np.array(values_of_last, np.float64).mean(axis=0)
    tested = accuracy(
        programs, params, state, data.x_test, data.y_test, prepare=data.transform.apply
    )
    weights = network.pack(params, state)
    along = np.stack(snapshots) if due else np.empty((0, network.size), np.float32)
    return TrainedNetwork(weights, tested, float(right), float(loss), along)


def images_of_fraction(classes: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Return the images that a network with this seed is trained on, in ascending order.

    Of each class it is the same share, rounded, and one image at least.

    Args:
        classes: of all training images, integers `[n]`.
        fraction: the share, above 0 and up to 1.
        seed: of the network.
    """
    if fraction == 1.0:
        return np.arange(len(classes))
    rng, parts = rng_for(seed, "training images"), []
    for number in np.unique(classes):
        members = np.flatnonzero(classes == number)
        count = max(1, round(fraction * len(members)))
        parts.append(rng.permutation(members)[:count])
    return np.sort(np.concatenate(parts))


def _batches(
    data: TrainingData, chosen: np.ndarray, size: int, seed: int
) -> Iterator[tuple[Any, Any]]:
    """Yield images as the network sees them and one-hot classes, from one random order to another.

    Each batch has `size` images, or all where there are fewer: one size is compiled once.
    """
    one_hot = np.eye(data.num_classes, dtype=np.float32)
    size, waiting, epoch = min(size, len(chosen)), np.empty(0, np.int64), 0
    while True:
        while len(waiting) < size:
            order = chosen[rng_for(seed, "training batches", epoch).permutation(len(chosen))]
            waiting, epoch = np.concatenate([waiting, order]), epoch + 1
        now, waiting = waiting[:size], waiting[size:]
        yield data.transform.apply(data.x_train[now]), one_hot[data.y_train[now]]
