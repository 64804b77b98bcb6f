import numpy as np
import pytest

from stillhouse.data.batches import TargetBatches
from stillhouse.data.dataset import dataset_from_arrays
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.transforms import fit_transform
from stillhouse.methods.method import Problem
from stillhouse.methods.programs import Context
from stillhouse.workers.local import LocalRunner


class Watched:
    """A `TaskRunner` of this process that keeps what it was asked for."""

    def __init__(self):
        self.passes = []
        self._runner = LocalRunner(Context("xla"))

    def results(self, tasks):
        self.passes.append(list(tasks))
        return self._runner.results(tasks)


@pytest.fixture(scope="session")
def spots():
    """Three kinds of bright spots on noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = rng.integers(0, 120, (90, 6, 6, 1))
    images[np.arange(90), 1 + labels, 2] += 130
    images = images.astype(np.uint8)
    return dataset_from_arrays(images[:60], labels[:60], images[60:], labels[60:], name="spots")


@pytest.fixture
def problem(spots):
    """What a method is given: the spots, and noise to start from."""

    def make(method, ipc=2):
        transform = fit_transform("standardise", spots.x_train)
        targets = TargetBatches(spots, transform, method.batch_size(spots, 3 * ipc), 5)
        start = np.random.default_rng(1).standard_normal((3 * ipc, 6, 6, 1)).astype(np.float32)
        labels = centred_one_hot(np.repeat(np.arange(3), ipc), 3)
        runner = Watched()
        return Problem(
            spots, transform, targets, targets, 5, lambda: (start, labels), runner,
            lambda: False, method.steps,
        )  # fmt: skip

    return make


@pytest.fixture
def steps():
    """Take steps from a state, or from the beginning; the state and the losses."""

    def walk(algorithm, count, state=None, first=1):
        state = algorithm.begin() if state is None else state
        losses = []
        for step in range(first, first + count):
            state, values = algorithm.advance(state, step)
            losses.append(values["loss"])
        return state, losses

    return walk


@pytest.fixture
def same():
    """Whether two states are the same to the bit."""

    def compare(algorithm, one, other):
        one, other = (algorithm.save(state) for state in (one, other))
        return one.keys() == other.keys() and all(
            one[name].tobytes() == other[name].tobytes() for name in one
        )

    return compare
