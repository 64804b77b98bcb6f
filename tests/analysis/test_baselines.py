import numpy as np
import pytest

from stillhouse.analysis.baselines import BASELINES, baseline_set, train_baseline
from stillhouse.analysis.training import TrainConfig
from stillhouse.networks import NetworkSpec


def test_class_averages_are_those_of_the_raw_images(digits):
    data = digits.dataset
    images, classes = baseline_set("average", data, digits.transform, 10, seed=0)
    means = np.stack([data.x_train[data.y_train == c].mean(axis=0) for c in range(10)])
    np.testing.assert_allclose(images, digits.transform.apply(means), atol=1e-5)
    assert classes.tolist() == list(range(10))


@pytest.mark.parametrize("kind", BASELINES)
def test_every_baseline_is_a_balanced_set_that_trains_better_than_a_guess(digits, kind):
    images, classes = baseline_set(kind, digits.dataset, digits.transform, 20, seed=0)
    assert images.shape == (20, 8, 8, 1) and np.bincount(classes).tolist() == [2] * 10
    config = TrainConfig(
        network=NetworkSpec("mlp", width=128, depth=1), steps=150, seeds=2, l2=0.0, rate_factor=0.5
    )
    result = train_baseline(config, kind, digits.dataset, digits.transform, 20)
    assert result.train_images == 20 and result.mean > 0.4


def test_random_images_are_drawn_anew_for_each_seed(digits):
    sets = [
        baseline_set("random", digits.dataset, digits.transform, 10, seed=seed)[0]
        for seed in (0, 1)
    ]
    assert not np.array_equal(*sets)
    config = TrainConfig(network=NetworkSpec("mlp", width=16, depth=1), steps=2, seeds=2, seed=5)
    found = train_baseline(config, "random", digits.dataset, digits.transform, 10)
    alone = TrainConfig(network=NetworkSpec("mlp", width=16, depth=1), steps=2, seeds=1, seed=6)
    again = train_baseline(alone, "random", digits.dataset, digits.transform, 10)
    assert again.curves[0] == found.curves[1]


def test_a_baseline_that_does_not_exist_is_refused(digits):
    with pytest.raises(ValueError, match="unknown baseline 'best', expected one of random"):
        baseline_set("best", digits.dataset, digits.transform, 10, seed=0)
    with pytest.raises(ValueError, match="not a positive multiple of the 10 classes"):
        baseline_set("random", digits.dataset, digits.transform, 15, seed=0)
