import numpy as np
import pytest

from stillhouse.data.transforms import Checked, Identity

BYTES = Checked(Identity(), (4, 3, 1), (0.0, 251.0))
SIGNED = Checked(Identity(), (4, 3, 1), (-1.0, 1.0))
UNIT = Checked(Identity(), (4, 3, 1), (0.0, 1.0))


def images(low, high, dtype=np.float32):
    return np.linspace(low, high, 24).reshape(2, 4, 3, 1).astype(dtype)


def test_images_of_the_scale_go_through_and_come_back():
    for transform, x in ((BYTES, images(0, 255)), (SIGNED, images(-1, 1)), (UNIT, images(0, 1))):
        np.testing.assert_array_equal(transform(x), x)
        np.testing.assert_array_equal(transform.invert(transform.apply(x)), x)


@pytest.mark.parametrize(
    ("transform", "x", "says"),
    [
        (BYTES, images(0, 1), "lie in 0 to 1, .* in 0 to 251: multiply them by 255"),
        (UNIT, images(0, 255), "divide them by 255"),
        (UNIT, images(0, 65535), "divide them by 65535"),
        (SIGNED, images(0, 255), "lie in 0 to 255, .* in -1 to 1: bring them to that scale"),
        # As torchvision's `Normalize` leaves them, and whitened ones.
        (BYTES, images(-1, 1), "-1 to 1, .*: give them as they were before they were normalised"),
        (BYTES, images(-2.1, 2.6), "before they were normalised"),
        (UNIT, images(-1, 1), "before they were normalised"),
    ],
)
def test_another_scale_is_refused_with_what_to_do(transform, x, says):
    with pytest.raises(ValueError, match=says):
        transform.apply(x)


def test_dark_and_black_images_are_no_other_scale():
    BYTES.apply(images(0, 0))
    BYTES.apply(images(0, 1, np.uint8))
    BYTES.apply(images(0, 40))
    BYTES.apply(images(-9, 260))  # What a filter leaves at edges.
    SIGNED.apply(images(0, 0.1))
    BYTES.apply(np.zeros((0, 4, 3, 1), np.float32))


def test_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="`images` must hold numbers, got an array of <U1"):
        BYTES.apply(np.full((2, 4, 3, 1), "a"))


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\[n, 4, 3, 1\], .*\(4x3x1\), got shape \(2, 4, 3\)"):
        BYTES.apply(images(0, 255)[..., 0])
