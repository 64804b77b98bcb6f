import threading

import numpy as np
import pytest

from stillhouse.data.batches import TargetBatches
from stillhouse.data.dataset import dataset_from_arrays
from stillhouse.data.transforms import fit_transform
from stillhouse.launch.engines.batches_ahead import batches_ahead

PATIENCE = 60


class Noting:
    """A transform that notes how often it was applied, and fails when it is told to."""

    kind = "noting"

    def __init__(self, transform):
        self._transform = transform
        self.applied = threading.Semaphore(0)
        self.threads = set()
        self.error = None

    def apply(self, images):
        if self.error is not None:
            raise self.error
        self.threads.add(threading.get_ident())
        self.applied.release()
        return self._transform.apply(images)


@pytest.fixture
def batches():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(60, 4, 4, 1)).astype(np.float32)
    spots = dataset_from_arrays(images, np.arange(60) % 3, name="spots")
    return TargetBatches(spots, Noting(fit_transform("zca", spots.x_train)), 12, 5)


@pytest.mark.parametrize("steps", [(0, 1, 2, 3), (4, 4, 2, 9, 10)])
@pytest.mark.parametrize("kind", ["batch", "pixel_batch"])
def test_batches_are_those_that_are_made_when_asked_for(batches, steps, kind):
    expected = [getattr(batches, kind)(step) for step in steps]
    with batches_ahead() as ahead:
        made = ahead(batches)
        for step, batch in zip(steps, expected, strict=True):
            for a, b in zip(batch, getattr(made, kind)(step), strict=True):
                assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_the_next_batch_is_made_before_it_is_asked_for(batches):
    noted = batches.transform
    with batches_ahead() as ahead:
        ahead(batches).batch(0)
        for _ in range(2):
            assert noted.applied.acquire(timeout=PATIENCE)
    assert threading.get_ident() not in noted.threads


def test_nothing_is_made_ahead_where_steps_come_in_any_order(batches):
    with batches_ahead() as ahead:
        made = ahead(batches)
        made.batch(0)  # And the one after it.
        for step in (7, 3, 5):
            made.batch(step)
    assert [batches.transform.applied.acquire(blocking=False) for _ in range(6)] == [
        *[True] * 5,
        False,
    ]


def test_a_batch_that_cannot_be_made_is_an_error_of_its_own_step(batches):
    with batches_ahead() as ahead:
        made = ahead(batches)
        made.batch(0)
        for _ in range(2):
            assert batches.transform.applied.acquire(timeout=PATIENCE)
        batches.transform.error = ValueError("no such file")
        made.batch(1)
        with pytest.raises(ValueError, match="no such file"):
            made.batch(2)
