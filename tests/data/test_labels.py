import numpy as np
import pytest

from stillhouse.data.labels import centred_one_hot


def test_labels_are_one_hot_minus_the_mean():
    labels = centred_one_hot(np.array([2, 0]), 4)
    assert labels.dtype == np.float32
    np.testing.assert_array_equal(
        labels, [[-0.25, -0.25, 0.75, -0.25], [0.75, -0.25, -0.25, -0.25]]
    )


def test_ten_classes_give_the_published_convention():
    # One at the class and zero elsewhere, minus one tenth; a constant zero prediction then has
    # the published half mean squared error of .045.
    labels = centred_one_hot(np.arange(10), 10)
    np.testing.assert_allclose(labels, np.eye(10) - 0.1, atol=1e-7)
    np.testing.assert_allclose(0.5 * np.mean(labels**2), 0.045, rtol=1e-6)


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0, 3], "label 1 is 3"), ([-1], "label 0 is -1"), ([0.5], "must be integers")],
)
def test_labels_that_are_no_class_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        centred_one_hot(np.array(labels), 3)


def test_no_classes_are_refused():
    with pytest.raises(ValueError, match="`num_classes` must be positive, got 0"):
        centred_one_hot(np.array([0]), 0)
