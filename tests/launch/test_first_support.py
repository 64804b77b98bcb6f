import numpy as np
import pytest

from stillhouse.data.dataset import dataset_from_arrays
from stillhouse.data.transforms import fit_transform
from stillhouse.launch.first_support import first_support


@pytest.fixture
def dataset():
    rng = np.random.default_rng(0)
    return dataset_from_arrays(rng.integers(0, 256, (60, 4, 4, 1)), np.arange(60) % 3)


@pytest.mark.parametrize("init", ["real", "noise", "kmeans"])
def test_a_start_is_the_same_each_time_and_in_order_of_the_classes(dataset, init):
    transform = fit_transform("standardise", dataset.x_train)
    images, labels = first_support(init, 6, dataset, transform, 3)
    assert images.shape == (6, 4, 4, 1) and images.dtype == np.float32
    np.testing.assert_array_equal(labels.argmax(axis=1), [0, 0, 1, 1, 2, 2])
    again, _ = first_support(init, 6, dataset, transform, 3)
    np.testing.assert_array_equal(images, again)
    other, _ = first_support(init, 6, dataset, transform, 4)
    assert not np.array_equal(images, other)


def test_real_images_are_those_of_the_dataset(dataset):
    transform = fit_transform("standardise", dataset.x_train)
    images, _ = first_support("real", 3, dataset, transform, 0)
    raw = transform.invert(images)
    for image in raw:
        assert np.abs(dataset.x_train - image).max(axis=(1, 2, 3)).min() < 1e-3
