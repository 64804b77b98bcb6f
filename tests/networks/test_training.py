import dataclasses

import numpy as np
import pytest

from stillhouse.networks import NetworkSpec, build_network
from stillhouse.networks.objective import Objective
from stillhouse.networks.training import images_of_fraction, train_network
from stillhouse.networks.training_spec import TrainingSpec

MLP = NetworkSpec("mlp", width=64, depth=1)
ADAM = TrainingSpec(Objective(optimiser="adam"), 0.005, epochs=8)
SHORT = dataclasses.replace(ADAM, epochs=1)


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_a_network_learns_to_read_digits(digits, optimiser):
    rate = {"adam": 0.005, "sgd": 0.05}[optimiser]
    training = TrainingSpec(Objective(optimiser=optimiser), rate, epochs=8)
    found = train_network(MLP, training, 0, digits)
    assert found.test_accuracy > 0.93 and found.train_accuracy > 0.95
    assert found.train_loss < 0.3 and found.snapshots.shape == (0, len(found.weights))


def test_batch_norm_is_tested_by_its_averages(digits):
    spec = NetworkSpec(width=8, depth=1, norm="batch")
    assert train_network(spec, dataclasses.replace(ADAM, epochs=6), 0, digits).test_accuracy > 0.85


def test_equal_seeds_give_equal_bits_whatever_was_trained_before(digits):
    first, other, again = (train_network(MLP, SHORT, seed, digits) for seed in (0, 1, 0))
    np.testing.assert_array_equal(first.weights, again.weights)
    assert dataclasses.astuple(first)[1:4] == dataclasses.astuple(again)[1:4]
    assert not np.array_equal(first.weights, other.weights)


def test_snapshots_begin_with_the_initial_weights_and_end_with_the_last(digits):
    training = dataclasses.replace(SHORT, every=5)
    found = train_network(MLP, training, 3, digits)
    network = build_network(MLP, (8, 8, 1), 10)
    assert len(found.snapshots) == len(training.snapshot_steps(len(digits.y_train)))
    np.testing.assert_array_equal(found.snapshots[0], network.pack(*network.init(3)))
    np.testing.assert_array_equal(found.snapshots[-1], found.weights)
    # They change nothing, and an earlier end of the same walk is among them.
    plain = train_network(MLP, SHORT, 3, digits)
    np.testing.assert_array_equal(found.weights, plain.weights)


def test_progress_tells_of_each_step(digits):
    told = []
    train_network(MLP, SHORT, 0, digits, progress=lambda *now: told.append(now))
    assert [step for step, _ in told] == list(range(1, 13))
    assert told[-1][1] < told[0][1]


def test_a_huge_learning_rate_is_told_of_with_a_better_one(digits):
    training = dataclasses.replace(SHORT, objective=Objective(), learning_rate=1e30)
    with pytest.raises(FloatingPointError, match="at step 2 of 12; try a lower .* 1e.30, such as"):
        train_network(MLP, training, 0, digits)


def test_a_fraction_is_the_same_share_of_each_class_and_another_draw_for_each_seed():
    classes = np.repeat([0, 1, 2], [100, 50, 3])
    chosen = images_of_fraction(classes, 0.1, seed=0)
    assert np.bincount(classes[chosen]).tolist() == [10, 5, 1]
    assert np.all(np.diff(chosen) > 0)
    np.testing.assert_array_equal(chosen, images_of_fraction(classes, 0.1, seed=0))
    assert not np.array_equal(chosen, images_of_fraction(classes, 0.1, seed=1))
    assert len(images_of_fraction(classes, 1.0, seed=0)) == 153


def test_a_network_of_a_fraction_sees_no_other_image(digits):
    training = dataclasses.replace(SHORT, fraction=0.1, epochs=3)
    chosen = images_of_fraction(digits.y_train, 0.1, seed=4)
    x = np.full_like(digits.x_train, np.nan)
    x[chosen] = digits.x_train[chosen]
    with np.errstate(invalid="ignore"):
        found = train_network(MLP, training, 4, dataclasses.replace(digits, x_train=x))
    np.testing.assert_array_equal(found.weights, train_network(MLP, training, 4, digits).weights)
