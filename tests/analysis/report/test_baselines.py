import numpy as np
import pytest

from stillhouse.analysis.report import baseline_sets
from stillhouse.data.transforms import Identity, fit_transform


def test_all_sets_have_the_size_and_fixed_labels(dataset):
    transform = fit_transform("standardise", dataset.x_train)
    sets = baseline_sets(dataset, transform, 6, draws=2)
    names = ["random images", "random images", "k-means", "class averages"]
    assert [one.name for one in sets] == names
    for one in sets:
        assert one.images.shape == (6, 6, 5, 3) and one.images.dtype == np.float32
        np.testing.assert_array_equal(one.labels.argmax(axis=1), [0, 0, 1, 1, 2, 2])
        np.testing.assert_allclose(one.labels.sum(axis=1), 0, atol=1e-6)
    assert not np.array_equal(sets[0].images, sets[1].images)


def test_they_are_made_of_raw_training_images(dataset):
    *random, average = baseline_sets(dataset, Identity(), 3)
    assert average.name == "class averages" and {one.name for one in random} == {"random images"}
    means = [dataset.x_train[dataset.y_train == c].mean(axis=0) for c in range(3)]
    np.testing.assert_allclose(average.images, means, rtol=1e-5)
    for one in random:
        for image in one.images:
            assert (dataset.x_train == image).all(axis=(1, 2, 3)).any()


def test_a_size_that_does_not_fit_is_refused(dataset):
    with pytest.raises(ValueError, match="not a positive multiple of the 3 classes"):
        baseline_sets(dataset, Identity(), 4)
    with pytest.raises(ValueError, match="has only 20"):
        baseline_sets(dataset, Identity(), 63)
