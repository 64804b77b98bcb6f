import numpy as np
import pytest

from stillhouse.analysis.report.measures import (
    correlation,
    label_covariance,
    pixel_histogram,
    some_images,
)


def test_covariance_and_correlation_are_those_of_numpy():
    labels = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    covariance = label_covariance(labels)
    np.testing.assert_allclose(covariance, np.cov(labels.T, ddof=0), rtol=1e-5)
    np.testing.assert_allclose(correlation(covariance), np.corrcoef(labels.T), rtol=1e-5)


def test_a_class_whose_label_never_varies_is_related_to_none():
    labels = np.random.default_rng(0).normal(size=(20, 3))
    labels[:, 1] = 0.3
    found = correlation(label_covariance(labels))
    np.testing.assert_array_equal(found[1], 0)
    assert found[0, 0] == pytest.approx(1) and abs(found[0, 2]) > 0


def test_one_image_has_no_covariance():
    assert not label_covariance(np.array([[0.9, -0.9]])).any()
    assert not correlation(np.zeros((2, 2))).any()


def test_histograms_share_bins_and_count_all_pixels():
    rng = np.random.default_rng(0)
    images = {"a": rng.normal(size=(9, 8, 8, 1)), "b": 5 + rng.normal(size=(5, 8, 8, 1))}
    found = pixel_histogram(images)
    for name, values in images.items():
        assert found.shares[name].sum() == pytest.approx(1)
        middle = (found.edges[1:] + found.edges[:-1]) / 2
        assert found.shares[name] @ middle == pytest.approx(values.mean(), abs=0.1)


@pytest.mark.parametrize("spread", [0.2, 1.0, 5.0])
def test_every_bin_holds_as_many_of_few_values(spread):
    rng = np.random.default_rng(0)
    grey = np.tile(np.arange(17) / 16, 100).reshape(-1, 17, 1, 1)
    learned = 0.5 + spread * rng.normal(size=(30, 8, 8, 1))
    found = pixel_histogram({"real": grey, "learned": learned})
    filled = found.shares["real"][found.shares["real"] > 0]
    # A bin at the end may hold fewer.
    np.testing.assert_allclose(filled[:-1], filled[0])
    assert found.shares["learned"].sum() == pytest.approx(1)
    assert found.edges[0] <= np.percentile(learned, 0.2) or spread < 1


def test_pixels_that_are_all_alike_have_a_histogram():
    found = pixel_histogram({"flat": np.zeros((3, 4, 4, 1))})
    assert found.shares["flat"].max() == 1 and np.isfinite(found.edges).all()


def test_a_large_dataset_is_sampled_and_a_small_one_is_not():
    images = np.arange(5000).reshape(-1, 1, 1, 1)
    found = some_images(images, np.random.default_rng(0))
    assert len(found) == 2000 and len(np.unique(found)) == 2000
    assert some_images(images[:30], np.random.default_rng(0)) is not found
    assert len(some_images(images[:30], np.random.default_rng(0))) == 30
