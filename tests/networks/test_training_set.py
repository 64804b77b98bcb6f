import itertools

import numpy as np
import pytest

from stillhouse.networks.training_set import TrainingSet

IMAGES = np.arange(5.0).reshape(5, 1, 1, 1)
SOFT = np.array([[0.9, 0.2], [0.1, 0.3], [-0.5, 0.5], [0.0, 1.0], [0.6, 0.4]])


def test_squared_errors_take_labels_as_they_are_and_centre_classes():
    np.testing.assert_array_equal(
        TrainingSet.of("mse", IMAGES, SOFT, 2).targets, SOFT.astype(np.float32)
    )
    hard = TrainingSet.of("mse", IMAGES, np.array([0, 1, 2, 0, 1]), 4).targets
    assert hard[2].tolist() == [-0.25, -0.25, 0.75, -0.25]


def test_labels_are_brought_to_a_multiple_of_the_size_of_one_hot_ones():
    hard = np.array([0, 1, 2, 0, 1])
    plain = TrainingSet.of("mse", IMAGES, hard, 10).targets
    scaled = TrainingSet.of("mse", IMAGES, hard, 10, label_scale=4.0).targets
    np.testing.assert_array_equal(scaled, 4 * plain)
    for soft in (SOFT, 100 * SOFT):
        found = TrainingSet.of("mse", IMAGES, soft, 2, label_scale=4.0).targets
        assert np.sqrt(np.mean(found**2)) == pytest.approx(4 * 0.5)  # One-hot: 0.5 and -0.5.
        np.testing.assert_allclose(found / found[0, 0], SOFT / SOFT[0, 0], rtol=1e-6)
    assert not TrainingSet.of("mse", IMAGES, 0 * SOFT, 2, label_scale=4.0).targets.any()


def test_cross_entropy_takes_the_largest_class():
    found = TrainingSet.of("xent", IMAGES, SOFT, 2, label_scale=4.0).targets
    assert found.tolist() == [[1, 0], [0, 1], [0, 1], [0, 1], [1, 0]]


def test_a_small_set_is_one_batch():
    train = TrainingSet.of("mse", IMAGES, SOFT, 2)
    for x, y in itertools.islice(train.batches(5, seed=0), 2):
        np.testing.assert_array_equal(x, train.images)
        np.testing.assert_array_equal(y, train.targets)


def test_batches_see_every_image_once_before_any_twice():
    train = TrainingSet.of("mse", IMAGES, SOFT, 2)

    def order(seed):
        drawn = [np.ravel(x) for x, _ in itertools.islice(train.batches(2, seed), 10)]
        assert {len(x) for x in drawn} == {2}
        return np.concatenate(drawn).reshape(4, 5)

    epochs = order(seed=0)
    assert np.sort(epochs, axis=1).tolist() == [[0, 1, 2, 3, 4]] * 4
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert np.array_equal(epochs, order(seed=0)) and not np.array_equal(epochs, order(seed=1))
    for x, y in itertools.islice(train.batches(2, 0), 3):
        np.testing.assert_array_equal(y, train.targets[np.ravel(x).astype(int)])


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (SOFT[:3], "must be .5, k. or .5."),
        (np.full((5, 2), np.nan), "finite"),
        (np.array([0, 1, 2, 3, 4]), "classes 0 to 3"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, says):
    with pytest.raises(ValueError, match=says):
        TrainingSet.of("mse", IMAGES, labels, 4)
