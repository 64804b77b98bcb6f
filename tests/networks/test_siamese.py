import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from stillhouse.data.siamese import KINDS, Draw, SiameseAugmentation
from stillhouse.networks.siamese import augmented, augmented_batches, augmented_by

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((4, 8, 6, 3)).astype(np.float32)


def changed(kind, *numbers, images=IMAGES):
    """Images after one kind of change with these numbers."""
    numbers = np.array([numbers + (0.0,) * (3 - len(numbers))], np.float32)
    return np.asarray(augmented_by(images, Draw(np.int32(KINDS.index(kind)), numbers)))


def test_color_shifts_all_then_stretches_saturation_and_contrast():
    np.testing.assert_allclose(changed("color", 0.75, 0.5, 0.5), IMAGES + 0.25, atol=1e-5)
    grey = changed("color", 0.5, 0.0, 0.5)
    np.testing.assert_allclose(grey, np.broadcast_to(grey[..., :1], grey.shape), atol=1e-5)
    flat = changed("color", 0.5, 0.5, 0.9999)
    np.testing.assert_allclose(
        flat.std(axis=(1, 2, 3)), 1.5 * IMAGES.std(axis=(1, 2, 3)), rtol=1e-3
    )


def test_crop_shifts_by_whole_pixels_and_fills_with_zeros():
    expected = np.zeros_like(IMAGES)
    expected[:, 1:, :-1] = IMAGES[:, :-1, 1:]
    np.testing.assert_array_equal(changed("crop", 0.0, 0.99), expected)
    np.testing.assert_array_equal(changed("crop", 0.5, 0.5), IMAGES)


def test_cutout_is_half_of_height_and_width_and_may_reach_over_the_edge():
    expected = IMAGES.copy()
    expected[:, 2:6, 1:4] = 0  # Of 8 rows 4, about row 4; of 6 columns 3, about column 2.
    np.testing.assert_array_equal(changed("cutout", 0.5, 0.35), expected)
    expected = IMAGES.copy()
    expected[:, :2, :2] = 0
    np.testing.assert_array_equal(changed("cutout", 0.0, 0.0), expected)


def test_flip_is_left_to_right_half_of_the_time():
    np.testing.assert_array_equal(changed("flip", 0.49), IMAGES[:, :, ::-1])
    np.testing.assert_array_equal(changed("flip", 0.5), IMAGES)


@pytest.mark.parametrize(("kind", "numbers"), [("rotate", (0.9,)), ("scale", (0.1, 0.8))])
def test_rotation_and_scale_are_affine_maps_about_the_centre(kind, numbers):
    if kind == "rotate":
        angle = np.deg2rad(0.8 * 15)
        matrix = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    else:
        matrix = np.diag([u * (1.2 - 1 / 1.2) + 1 / 1.2 for u in numbers])
    centre = np.array([3.5, 2.5])
    offset = centre - np.asarray(matrix) @ centre
    # SciPy's "grid-constant" reads zeros from beyond the edge, as ours does.
    expected = [
        [ndimage.affine_transform(channel, matrix, offset, order=1, mode="grid-constant")
         for channel in np.moveaxis(image, 2, 0)]
        for image in IMAGES
    ]  # fmt: skip
    np.testing.assert_allclose(changed(kind, *numbers), np.moveaxis(expected, 1, 3), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_two_batches_with_one_draw_are_changed_alike(kind):
    draw = SiameseAugmentation((kind,)).draw(1, 2)
    real, synthetic = RNG.standard_normal((2, 5, 8, 8, 1)).astype(np.float32)
    both = np.concatenate([real, synthetic])
    apart = [np.asarray(augmented_by(x, draw)) for x in (real, synthetic)]
    np.testing.assert_array_equal(np.asarray(augmented_by(both, draw)), np.concatenate(apart))


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_linear_or_smooth_and_so_is_its_gradient(kind):
    """The vjp is the transpose of the change itself, which is affine in the images."""
    draw = SiameseAugmentation((kind,)).draw(5, 3)
    x, v, g = RNG.standard_normal((3, 2, 8, 8, 3)).astype(np.float32)

    def change(images):
        return augmented(images, draw.kind, draw.numbers)

    moved = np.asarray(change(x + v) - change(x))
    (gradient,) = jax.jit(lambda x, g: jax.vjp(change, x)[1](g))(jnp.asarray(x), g)
    assert np.sum(np.asarray(gradient) * v) == pytest.approx(np.sum(moved * g), rel=1e-3)
    assert np.abs(gradient).max() > 0


def test_batches_are_changed_image_by_image_and_the_same_again():
    augmentation = SiameseAugmentation(("crop",))
    image = np.repeat(IMAGES[:1], 64, axis=0)

    def shown():
        batches = iter([(image, "targets")] * 2)
        return list(augmented_batches(batches, augmentation, 4))

    (first, targets), (second, _) = shown()
    assert targets == "targets"
    assert len(np.unique(np.asarray(first), axis=0)) == 9  # All shifts of a pixel.
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.asarray(shown()[1][0]), np.asarray(second))
