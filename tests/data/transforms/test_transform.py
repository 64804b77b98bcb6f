import numpy as np
import pytest

from stillhouse.data.transforms import TRANSFORMS, fit_transform, transform_from_arrays


def test_the_kinds_are_those_of_the_command_line():
    assert TRANSFORMS == ("none", "standardise", "zca", "zca-rfad", "zca-frepo")


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_a_transform_made_again_from_its_arrays_gives_the_same_bits(kind, photographs):
    transform = fit_transform(kind, photographs.x_train)
    assert transform.kind == kind
    again = transform_from_arrays(kind, transform.to_arrays())
    images = transform.apply(photographs.x_test)
    assert images.dtype == np.float32 and images.shape == photographs.x_test.shape
    np.testing.assert_array_equal(again.apply(photographs.x_test), images)
    np.testing.assert_array_equal(again.invert(images), transform.invert(images))


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_uint8_and_float_images_of_the_same_values_transform_alike(kind, photographs):
    transform = fit_transform(kind, photographs.x_train)
    floats = photographs.x_test.astype(np.float32)
    np.testing.assert_array_equal(transform.apply(floats), transform.apply(photographs.x_test))


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_the_input_is_left_as_it_is(kind, photographs):
    images = photographs.x_test.astype(np.float32)
    before = images.copy()
    transform = fit_transform(kind, photographs.x_train)
    transform.invert(transform.apply(images))
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("kind", ["none", "standardise"])
def test_inversion_is_exact_to_rounding(kind, photographs):
    transform = fit_transform(kind, photographs.x_train)
    restored = transform.invert(transform.apply(photographs.x_test))
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored, photographs.x_test, atol=1e-4)
    np.testing.assert_array_equal(np.round(restored), photographs.x_test)


@pytest.mark.parametrize("kind", ["standardise", "zca"])
def test_other_images_than_it_was_fitted_to_are_refused(kind, photographs):
    transform = fit_transform(kind, photographs.x_train)
    for call in (transform.apply, transform.invert):
        with pytest.raises(ValueError, match=r"fitted to images .*got shape \(2, 6, 5, 1\)"):
            call(np.zeros((2, 6, 5, 1), np.float32))


def test_unknown_kinds_are_refused(photographs):
    with pytest.raises(ValueError, match="unknown transform 'pca', expected one of none, stand"):
        fit_transform("pca", photographs.x_train)
    with pytest.raises(ValueError, match="unknown transform 'pca'"):
        transform_from_arrays("pca", {})


@pytest.mark.parametrize("kind", TRANSFORMS[1:])
def test_missing_arrays_are_named(kind, photographs):
    arrays = fit_transform(kind, photographs.x_train).to_arrays()
    for name in arrays:
        rest = {other: array for other, array in arrays.items() if other != name}
        with pytest.raises(ValueError, match=f"lacks the array `{name}`"):
            transform_from_arrays(kind, rest)
