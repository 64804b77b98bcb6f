import dataclasses

import numpy as np
import pytest

from stillhouse.data import dataset_from_arrays
from stillhouse.methods.keep_best import KeepBest, hold_out

ACCURACIES = [0.5, 0.6, 0.9, 0.7, 0.9, 0.8, 0.1]  # by step


@dataclasses.dataclass(frozen=True)
class Counting:
    """A method whose images say the step they are of."""

    def begin(self):
        return 0

    def advance(self, state, step):
        return step, {"loss": 1.0 / step}

    def support(self, state):
        return np.full((2, 1, 1, 1), state, np.float32), np.eye(2, dtype=np.float32)

    def save(self, state):
        return {"images": np.array(state)}

    def restore(self, arrays):
        return int(arrays["images"])


def keep_best(every=1, steps=6):
    return KeepBest(
        Counting(),
        judge=lambda images, labels: ACCURACIES[int(images[0, 0, 0, 0])],
        score_set=lambda images, labels: {"test_accuracy": float(images[0, 0, 0, 0]) / 10},
        final_set=lambda images, labels, step, scores: {"train_accuracy": step / 10},
        every=every,
        steps=steps,
    )


def run(algorithm, steps, state=None, start=0):
    state = algorithm.begin() if state is None else state
    for step in range(start + 1, steps + 1):
        state, values = algorithm.advance(state, step)
    return state, values


@pytest.mark.parametrize(("every", "best"), [(1, 2), (2, 2), (3, 5), (4, 4), (100, 5)])
def test_the_first_of_the_best_is_kept(every, best):
    algorithm = keep_best(every, steps=5)
    state, values = run(algorithm, 5)
    images, _ = algorithm.support(state)
    assert (state.step, images[0, 0, 0, 0]) == (best, best)
    assert values["held_out_accuracy"] == ACCURACIES[5]  # The last step is judged too.
    assert algorithm.score(state) == {"test_accuracy": best / 10}


def test_a_state_comes_back_as_it_was_and_goes_on_alike():
    algorithm = keep_best()
    straight, _ = run(algorithm, 6)
    half, _ = run(algorithm, 3)
    again, _ = run(algorithm, 6, algorithm.restore(algorithm.save(half)), start=3)
    assert (again.inner, again.step, again.accuracy) == (straight.inner, 2, 0.9)
    np.testing.assert_array_equal(again.support[0], straight.support[0])
    assert algorithm.final_scores(again, {}) == {
        "train_accuracy": 0.2,
        "kept_step": 2,
        "held_out_accuracy": 0.9,
    }


def test_a_tenth_of_each_class_is_held_out_and_no_test_image_is_touched():
    x = np.arange(80, dtype=np.float32).reshape(80, 1, 1, 1)
    dataset = dataset_from_arrays(x[:60], np.arange(60) % 3, x[60:], np.arange(20) % 3)
    learning, chosen_by = hold_out(dataset)
    assert len(learning.y_train) == 54 and np.bincount(chosen_by.y_test).tolist() == [2, 2, 2]
    np.testing.assert_array_equal(learning.x_test, dataset.x_test)
    assert not set(learning.x_train.ravel()) & set(chosen_by.x_test.ravel())
    assert hold_out(dataset)[1].fingerprint() == chosen_by.fingerprint()
    few = dataset_from_arrays(x[:4], [0, 0, 1, 1], x[60:62], [0, 1])
    with pytest.raises(ValueError, match="`keep` of the best needs images to choose by"):
        hold_out(few)
