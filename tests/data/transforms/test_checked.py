import numpy as np
import pytest

from stillhouse.data.transforms import Checked, Identity

BYTES = Checked(Identity(), (4, 3, 1), (0.0, 251.0))
UNIT = Checked(Identity(), (4, 3, 1), (-1.0, 1.0))


def images(low, high, dtype=np.float32):
    return np.linspace(low, high, 24).reshape(2, 4, 3, 1).astype(dtype)


def test_images_of_the_scale_go_through_and_come_back():
    for transform, x in ((BYTES, images(0, 255)), (UNIT, images(-1, 1)), (UNIT, images(0, 1))):
        np.testing.assert_array_equal(transform(x), x)
        np.testing.assert_array_equal(transform.invert(transform.apply(x)), x)


@pytest.mark.parametrize(
    ("transform", "x", "says"),
    [
        (BYTES, images(0, 1), "lie in 0 to 1, .* in 0 to 251: multiply them by 255"),
        (BYTES, images(-1, 1), "multiply them by 255"),
        (UNIT, images(0, 255), "lie in 0 to 255, .* in -1 to 1: divide them by 255"),
        (UNIT, images(0, 65535), "divide them by 65535"),
    ],
)
def test_another_scale_is_refused_with_what_to_do(transform, x, says):
    with pytest.raises(ValueError, match=says):
        transform.apply(x)


def test_dark_and_black_images_are_no_other_scale():
    BYTES.apply(images(0, 0))
    BYTES.apply(images(0, 1, np.uint8))
    BYTES.apply(images(0, 40))
    BYTES.apply(np.zeros((0, 4, 3, 1), np.float32))


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\[n, 4, 3, 1\], .*\(4x3x1\), got shape \(2, 4, 3\)"):
        BYTES.apply(images(0, 255)[..., 0])
