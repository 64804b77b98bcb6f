import numpy as np
import pytest

from stillhouse.data.augmentation import FLIPS, Augmentation, augment, rotate_and_shift
from stillhouse.data.sampling import rng_for

NOTHING = Augmentation(fraction=1.0, flip=False, shift=0.0, rotation=0.0, channel_shift=0.0)


def only(**changes):
    return Augmentation(**{**vars(NOTHING), **changes})


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (40, 7, 6, 3), dtype=np.uint8)


def test_the_result_is_a_function_of_the_generator_and_keeps_its_input(images):
    before = images.copy()
    first, second = (augment(images, Augmentation(), rng_for(0, "a")) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(images, before)
    assert first.dtype == np.float32 and first.shape == images.shape
    assert not np.array_equal(first, augment(images, Augmentation(), rng_for(1, "a")))


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_exactly_the_fraction_is_augmented(images, fraction):
    result = augment(images, only(fraction=fraction, shift=0.3), rng_for(0))
    changed = (result != images).any(axis=(1, 2, 3))
    assert changed.sum() == fraction * len(images)


def test_everything_switched_off_changes_nothing(images):
    np.testing.assert_array_equal(augment(images, NOTHING, rng_for(0)), images)


def test_a_flip_mirrors_about_half_of_the_images(images):
    result = augment(images, FLIPS, rng_for(0))
    mirrored = np.array(
        [np.array_equal(a, b[:, ::-1]) for a, b in zip(result, images, strict=True)]
    )
    same = np.array([np.array_equal(a, b) for a, b in zip(result, images, strict=True)])
    assert (mirrored ^ same).all()
    assert 10 <= mirrored.sum() <= 30


def test_a_channel_shift_adds_one_value_per_channel_within_the_range():
    images = np.full((200, 4, 4, 3), 100.0)
    images[:, 0, 0], images[:, 3, 3] = 0.0, 200.0
    result = augment(images, only(channel_shift=0.25), rng_for(0))
    added = (result - images)[:, 1:3, 1:3]
    np.testing.assert_array_equal(added, np.broadcast_to(added[:, :1, :1], added.shape))
    assert np.abs(added).max() <= 50 and added.max() > 45 and added.min() < -45
    assert len(np.unique(added[:, 0, 0])) == 600  # each image and channel has its own
    assert result.min() >= 0 and result.max() <= 200


def test_shifts_stay_within_their_bounds():
    # On a ramp, the value at the centre tells by how much it was moved to the right.
    ramp = np.broadcast_to(np.arange(21.0)[:, np.newaxis], (300, 21, 21, 1))
    moved = 10 - augment(ramp, only(shift=0.2), rng_for(0))[:, 10, 10, 0]
    assert np.abs(moved).max() <= 0.2 * 21 + 1e-4
    assert moved.max() > 4.0 and moved.min() < -4.0


def test_rotations_stay_within_their_bounds():
    # On a ramp, the slope down the middle column is the sine of the angle.
    ramp = np.broadcast_to(np.arange(21.0)[:, np.newaxis], (300, 21, 21, 1))
    rotated = augment(ramp, only(rotation=30.0), rng_for(0))
    slope = rotated[:, 11, 10, 0] - rotated[:, 9, 10, 0]
    angles = np.degrees(np.arcsin(slope / 2))
    assert np.abs(angles).max() <= 30.01
    assert angles.max() > 28 and angles.min() < -28


def test_no_pixel_leaves_the_range_of_its_image(images):
    strong = Augmentation(fraction=1.0, shift=0.3, rotation=90.0, channel_shift=1.0)
    result = augment(images, strong, rng_for(0))
    axes = (1, 2, 3)
    assert (result.min(axis=axes) >= images.min(axis=axes)).all()
    assert (result.max(axis=axes) <= images.max(axis=axes)).all()


@pytest.mark.parametrize("turns", [-1, 1, 2])
def test_right_angles_rotate_as_numpy_does(rng, turns):
    image = rng.random((6, 6, 2))
    np.testing.assert_allclose(
        rotate_and_shift(image, 90.0 * turns, 0, 0), np.rot90(image, turns), atol=1e-12
    )


def test_whole_shifts_move_pixels_and_repeat_the_edge(rng):
    image = rng.random((5, 7, 2))
    moved = rotate_and_shift(image, 0.0, 2, -1)
    np.testing.assert_allclose(moved[2:, :-1], image[:-2, 1:], atol=1e-12)
    np.testing.assert_allclose(moved[:2, :-1], np.broadcast_to(image[0, 1:], (2, 6, 2)), atol=1e-12)
    np.testing.assert_allclose(moved[2:, -1], image[:-2, -1], atol=1e-12)


def test_a_half_pixel_shift_averages_neighbours(rng):
    image = rng.random((4, 6, 1))
    moved = rotate_and_shift(image, 0.0, 0, 0.5)
    np.testing.assert_allclose(moved[:, 1:], (image[:, 1:] + image[:, :-1]) / 2, atol=1e-12)


def test_the_shift_follows_the_rotation(rng):
    image = rng.random((6, 6, 1))
    expected = rotate_and_shift(np.ascontiguousarray(np.rot90(image)), 0.0, 1, 2)
    np.testing.assert_allclose(
        rotate_and_shift(image, 90.0, 1, 2)[1:, 2:], expected[1:, 2:], atol=1e-12
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [("fraction", 1.5), ("fraction", -0.1), ("shift", 2.0), ("rotation", 181.0),
     ("channel_shift", -1.0), ("channel_shift", np.inf), ("fraction", np.nan)],
)  # fmt: skip
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(ValueError, match=rf"`{option}` must .* got {value}"):
        Augmentation(**{option: value})
