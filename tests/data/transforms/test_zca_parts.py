import numpy as np
import pytest

from stillhouse.data.transforms import (
    TRANSFORMS,
    ZCAParts,
    fit_transform,
    parse_zca,
    transform_from_arrays,
)


@pytest.fixture
def images(rng):
    """400 images of 4x4x3, more than their 48 dimensions."""
    x = rng.normal(size=(400, 4, 4, 3)).cumsum(axis=1).cumsum(axis=2) * 20 + 100
    return x.astype(np.float32)


def channels_standardised(images):
    x = images.astype(np.float64)
    return (x - x.mean(axis=(0, 1, 2))) / x.std(axis=(0, 1, 2))


def whitening(rows, regularisation=0.1):
    """The inverse square root of the regularised moments, by the decomposition papers name."""
    moments = rows.T @ rows / len(rows)
    u, s, _ = np.linalg.svd(moments + regularisation * np.trace(moments) / 48 * np.eye(48))
    return (u / np.sqrt(s)) @ u.T


def test_that_of_rfad_neither_centres_nor_divides_an_image(images):
    """Its authors have channels first: the same values, in another order."""
    first = channels_standardised(images).transpose(0, 3, 1, 2).reshape(400, -1)
    expected = (first @ whitening(first)).reshape(400, 3, 4, 4).transpose(0, 2, 3, 1)
    got = fit_transform("zca-rfad", images).apply(images)
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_that_of_frepo_takes_away_the_mean_image(images):
    rows = channels_standardised(images).reshape(400, -1)
    rows -= rows.mean(axis=0)
    got = fit_transform("zca-frepo", images).apply(images).reshape(400, -1)
    np.testing.assert_allclose(got, rows @ whitening(rows), rtol=1e-3, atol=1e-4)


def test_parts_may_be_mixed(images):
    rows = images.astype(np.float64).reshape(400, -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    transform = fit_transform("zca:channels=no,image_norm=no,regularisation=0.02", images)
    expected = rows @ whitening(rows, 0.02)
    np.testing.assert_allclose(transform.apply(images).reshape(400, -1), expected, atol=1e-2)
    assert (transform.kind, transform.regularisation) == ("zca:channels=no,image_norm=no", 0.02)


KINDS = ["zca", "zca-rfad", "zca-frepo", "zca:image_norm=no", "zca-frepo:channels=no"]


@pytest.mark.parametrize("kind", KINDS)
def test_any_is_stored_and_made_again_to_the_bit(images, kind):
    transform = fit_transform(kind, images)
    again = transform_from_arrays(transform.kind, transform.to_arrays())
    np.testing.assert_array_equal(again.apply(images[:9]), transform.apply(images[:9]))
    assert (again.kind, again.parts) == (transform.kind, transform.parts)


@pytest.mark.parametrize("kind", ["zca-rfad", "zca-frepo", "zca-frepo:channels=no"])
def test_variants_that_keep_mean_and_norm_are_undone_exactly(images, kind):
    transform = fit_transform(kind, images)
    np.testing.assert_allclose(transform.invert(transform.apply(images)), images, atol=0.05)


def test_the_published_one_is_the_default_and_its_files_are_as_they_were(images):
    assert parse_zca("zca") == ZCAParts()
    assert set(fit_transform("zca", images).to_arrays()) == {
        *("mean", "std", "whitening", "norm", "image_shape", "regularisation")
    }
    assert set(TRANSFORMS) >= {"zca", "zca-rfad", "zca-frepo"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("zca-dc", "unknown transform 'zca-dc', expected one of none, standardise, zca, "),
        ("zca:norm=no", "unknown part 'norm' of `zca`, expected one of channels, mean_image"),
        ("zca:channels=maybe", "`channels` of `zca` must be yes or no, got 'maybe'"),
        ("zca:regularisation=x", "`regularisation` of `zca` must be a number, got 'x'"),
        ("zca:regularisation=0", "`regularisation` must be a positive number, got 0.0"),
    ],
)
def test_wrong_names_are_refused(images, text, message):
    with pytest.raises(ValueError, match=message):
        fit_transform(text, images)
