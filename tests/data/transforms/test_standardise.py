import numpy as np
import pytest

from stillhouse.data.transforms.standardise import Standardise


def test_channels_of_the_train_set_get_mean_zero_and_deviation_one(photographs):
    images = Standardise.fit(photographs.x_train).apply(photographs.x_train).astype(np.float64)
    np.testing.assert_allclose(images.mean(axis=(0, 1, 2)), 0.0, atol=1e-6)
    np.testing.assert_allclose(images.std(axis=(0, 1, 2)), 1.0, rtol=1e-6)


def test_statistics_are_those_of_numpy_over_several_chunks(rng):
    # More images than are converted to float64 at a time, far from zero.
    images = rng.normal(1e4, 3.0, size=(2500, 3, 2, 2)).astype(np.float32)
    transform = Standardise.fit(images)
    flat = images.reshape(-1, 2).astype(np.float64)
    np.testing.assert_allclose(transform.mean, flat.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(transform.std, flat.std(axis=0), rtol=1e-10)


def test_a_constant_channel_is_only_centred(rng):
    images = rng.random((50, 4, 4, 2))
    images[..., 1] = 0.1  # not exact in binary, so that rounding could pass for contrast
    transform = Standardise.fit(images)
    result = transform.apply(images)
    np.testing.assert_allclose(result[..., 1], 0.0, atol=1e-7)
    np.testing.assert_allclose(transform.invert(result), images, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        (np.zeros(3), np.ones(2), r"must be \[c\], got shapes \(3,\) and \(2,\)"),
        (np.zeros(2), np.array([1.0, 0.0]), r"`std` must be positive"),
        (np.zeros(2), np.array([1.0, np.nan]), r"`std` must be positive"),
    ],
)
def test_impossible_statistics_are_refused(mean, std, message):
    with pytest.raises(ValueError, match=message):
        Standardise(mean, std)
