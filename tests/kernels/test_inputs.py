"""What callers hand to a kernel is checked before any work."""

import numpy as np
import pytest

from stillhouse.kernels.inputs import checked_cotangent, checked_images, checked_pair, checked_wrt

IMAGES = np.zeros((2, 4, 5, 3), np.float32)


def test_images_keep_their_floating_dtype_and_integers_become_float32():
    assert checked_images(IMAGES.astype(np.float64), "x").dtype == np.float64
    assert checked_images(IMAGES.astype(np.uint8), "x").dtype == np.float32
    assert checked_images(IMAGES[:, ::-1], "x").flags.c_contiguous


@pytest.mark.parametrize("shape", [(4, 5, 3), (0, 4, 5, 3), (2, 4, 5, 0)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"`x` must be images \[n, h, w, c\].*" + str(shape[0])):
        checked_images(np.zeros(shape), "x")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_not_finite_are_refused_with_the_image(value):
    x = IMAGES.copy()
    x[1, 0, 2, 1] = value
    with pytest.raises(ValueError, match="`x` holds NaN or infinite pixels, first in image 1"):
        checked_images(x, "x")


def test_a_pair_must_match_in_image_shape():
    with pytest.raises(ValueError, match=r"\(4, 5, 3\) and \(5, 4, 3\)"):
        checked_pair(IMAGES, np.zeros((1, 5, 4, 3)))
    first, second = checked_pair(IMAGES, IMAGES.astype(np.float64))
    assert first.dtype == second.dtype == np.float64


def test_a_cotangent_must_match_the_block():
    dtype = np.dtype(np.float32)
    assert checked_cotangent([[1, 2]], (1, 2), dtype).dtype == dtype
    with pytest.raises(ValueError, match=r"block's shape \(2, 3\), got \(3, 2\)"):
        checked_cotangent(np.zeros((3, 2)), (2, 3), dtype)
    with pytest.raises(ValueError, match="`cotangent` holds NaN"):
        checked_cotangent([[np.nan]], (1, 1), dtype)


@pytest.mark.parametrize("wrt", [(), (2,), (0, 0)])
def test_wrt_names_inputs(wrt):
    with pytest.raises(ValueError, match="`wrt`"):
        checked_wrt(wrt)
