import numpy as np
import pytest

from stillhouse.data.arrays import as_image_splits, as_images, as_labels, check_classes, slices


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.uint8, np.uint8),
        (np.int64, np.float32),
        (">u2", np.float32),
        (np.bool_, np.float32),
        (np.float64, np.float32),
        (np.float16, np.float32),
        (">f4", np.float32),
    ],
)
def test_images_become_uint8_or_float32_with_the_same_values(dtype, expected):
    images = np.array([0, 1, 1, 0, 1, 0], dtype=dtype).reshape(1, 2, 3, 1)
    result = as_images(images, "`x`")
    assert result.dtype == expected and result.flags.c_contiguous
    np.testing.assert_array_equal(result.ravel(), [0, 1, 1, 0, 1, 0])


def test_images_that_do_not_fit_in_eight_bits_stay_exact():
    for images in (np.array([[[0, 65535], [256, 1]]]), np.array([[[0, 1], [255, -3]]])):
        result = as_images(images, "`x`")
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result[..., 0], images)


def test_grey_images_get_a_channel_and_sequences_are_stacked(rng):
    images = rng.integers(0, 256, (3, 4, 5))
    np.testing.assert_array_equal(as_images(list(images), "`x`"), images[..., np.newaxis])


def test_images_in_the_right_form_are_not_copied(rng):
    images = rng.random((2, 3, 3, 1), dtype=np.float32)
    assert np.shares_memory(as_images(images, "`x`"), images)


def test_mixed_sizes_are_named():
    images = [np.zeros((4, 4)), np.zeros((4, 4)), np.zeros((4, 6))]
    with pytest.raises(ValueError, match=r"`x` must have one size: image 2 is 4x6, image 0 is 4x4"):
        as_images(images, "`x`")
    ragged = np.empty(3, dtype=object)
    ragged[:] = images
    with pytest.raises(ValueError, match="image 2 is 4x6"):
        as_images(ragged, "`x`")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_a_pixel_that_is_not_finite_in_float32_is_located(value):
    images = np.zeros((3, 2, 2, 1))
    images[1, 0, 1, 0] = value
    with pytest.raises(ValueError, match=r"image 1 has the pixel value .* row 0, column 1, chan"):
        as_images(images, "`x`")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((5, 64)), r"flat images, shape \(5, 64\).*`reshape\(-1, 8, 8\)`"),
        (np.zeros((0, 4, 4, 1)), r"holds no images"),
        ([], r"holds no images"),
        (np.zeros((2, 3, 32, 32)), r"channels first"),
        (np.zeros((2, 4, 4), dtype=complex), r"must hold numbers, got an array of complex128"),
        (np.full((2, 4, 4), "a"), r"must hold numbers"),
    ],
)
def test_what_is_no_image_batch_is_refused(images, message):
    with pytest.raises(ValueError, match=message):
        as_images(images, "`x`")


@pytest.mark.parametrize("labels", [[3, 0, 2], [[3], [0], [2]], np.array([3.0, 0.0, 2.0])])
def test_whole_numbers_are_labels(labels):
    result = as_labels(labels, "`y`")
    assert result.dtype == np.int64
    np.testing.assert_array_equal(result, [3, 0, 2])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.0, 1.5], r"`y` must be integers: label 1 is 1.5 \(1 of 2"),
        ([np.nan, 1.0], r"label 0 is nan"),
        ([np.inf, 1.0], r"label 0 is inf"),
        (np.eye(3), r"shape \(3, 3\).*not soft or one-hot"),
        (["cat", "dog"], r"must be integers, got an array of <U3"),
        (7, r"`y` must be labels \[n\], got 7"),
        (None, r"`y` must be labels \[n\], got None"),
        ([[0], [1, 2]], r"`y` must be labels \[n\], got rows that differ in length"),
    ],
)
def test_what_is_no_label_is_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        as_labels(labels, "`y`")


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_outside_the_classes_are_located(label):
    with pytest.raises(ValueError, match=rf"classes 0 to 2: label 1 is {label} \(1 of 3"):
        check_classes(np.array([0, label, 2]), 3, "`y`")


@pytest.mark.parametrize(("length", "size"), [(10, 3), (9, 3), (2, 5), (0, 4)])
def test_slices_cover_the_range_once(length, size):
    parts = [list(range(length))[part] for part in slices(length, size)]
    assert sum(parts, []) == list(range(length))
    assert all(0 < len(part) <= size for part in parts)


NAMES = ("`x_train`", "`x_test`")


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int8, np.int64])
def test_both_splits_have_the_dtype_of_their_type_whatever_their_values(dtype):
    train, test = np.array([[[0]], [[100]]], dtype), np.array([[[0]], [[99]]], dtype)
    for pair in ((train, test), (train, test.astype(np.uint8)), (train.astype(np.uint8), test)):
        x_train, x_test = as_image_splits(*pair, NAMES)
        assert x_train.dtype == x_test.dtype == np.float32
        assert (x_train.max(), x_test.max()) == (100, 99)
    x_train, x_test = as_image_splits(train.astype(np.uint8), test.astype(np.uint8), NAMES)
    assert x_train.dtype == x_test.dtype == np.uint8


def test_splits_of_two_scales_are_refused(rng):
    unit, bytes_ = rng.random((4, 3, 3)), rng.integers(0, 256, (4, 3, 3))
    for pair in ((unit, bytes_ * 1.0), (bytes_ * 1.0, unit)):
        with pytest.raises(ValueError, match="lies in .* in the same pixel scale"):
            as_image_splits(*pair, NAMES)
    with pytest.raises(ValueError, match="give both splits in the same pixel scale and dtype"):
        as_image_splits(unit, bytes_.astype(np.uint8), NAMES)
    as_image_splits(unit * 2 - 1, unit, NAMES)


def test_flat_images_are_refused_with_what_makes_images_of_them():
    with pytest.raises(ValueError, match=r"`reshape\(-1, 28, 28\)`"):
        as_images(np.zeros((2, 784)), "`x`")
    with pytest.raises(ValueError, match=r"reshape\(-1, 3, 32, 32\).transpose\(0, 2, 3, 1\)"):
        as_images(np.zeros((2, 3072)), "`x`")
    with pytest.raises(ValueError, match=r"shape \(2, 10\): make them \[n, h, w, c\]"):
        as_images(np.zeros((2, 10)), "`x`")
