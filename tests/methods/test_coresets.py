import numpy as np
import pytest

from stillhouse.methods.coresets import (
    check_support_size,
    class_average,
    kmeans_centres,
    noise_images,
    random_subset,
)

_FROM_IMAGES = [random_subset, kmeans_centres, class_average]


def _two_classes(counts=(40, 30), seed=0):
    """Images [n, 2, 3, 1] in a shuffled order; class 1 is about 100 brighter."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([0, 1], counts))
    images = rng.normal(size=(len(labels), 2, 3, 1)) + 100 * labels[:, None, None, None]
    return images.astype(np.float32), labels


@pytest.mark.parametrize("make", _FROM_IMAGES)
@pytest.mark.parametrize("size", [2, 10])
def test_classes_come_in_order_and_equal_number(make, size):
    images, labels = make(*_two_classes(), size, num_classes=2, seed=0)
    assert images.shape == (size, 2, 3, 1)
    assert images.dtype == np.float32
    np.testing.assert_array_equal(labels, np.repeat([0, 1], size // 2))
    np.testing.assert_array_equal(images.mean(axis=(1, 2, 3)) > 50, labels == 1)


@pytest.mark.parametrize("make", _FROM_IMAGES)
def test_the_seed_decides(make):
    x, y = _two_classes()
    one, again, other = (make(x, y, 10, num_classes=2, seed=seed)[0] for seed in (1, 1, 2))
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != other.tobytes()


def test_a_random_subset_repeats_no_image():
    x, y = _two_classes()
    images, _ = random_subset(x, y, 60, num_classes=2, seed=0)
    found = {image.tobytes() for image in images}
    assert len(found) == 60
    assert found <= {image.tobytes() for image in x}


@pytest.mark.parametrize("make", [kmeans_centres, class_average])
def test_one_image_per_class_is_the_class_mean(make):
    x, y = _two_classes()
    images, _ = make(x, y, 2, num_classes=2, seed=3)
    for label in (0, 1):
        np.testing.assert_allclose(images[label], x[y == label].mean(axis=0), rtol=1e-5, atol=1e-6)


def test_kmeans_finds_clusters():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 1, 4, 1)) * 50
    which = rng.integers(3, size=90)
    x = (centres[which] + 0.1 * rng.normal(size=(90, 1, 4, 1))).astype(np.float32)
    images, _ = kmeans_centres(x, np.zeros(90, int), 3, num_classes=1, seed=0)
    expected = np.stack([x[which == i].mean(axis=0) for i in range(3)])
    np.testing.assert_allclose(
        images[np.argsort(images[:, 0, 0, 0])],
        expected[np.argsort(expected[:, 0, 0, 0])],
        rtol=1e-5,
    )


def test_averages_are_of_disjoint_parts_of_a_class():
    x, y = _two_classes(counts=(40, 40))
    images, _ = class_average(x, y, 8, num_classes=2, seed=0)
    assert len({image.tobytes() for image in images}) == 8
    for label in (0, 1):
        # Parts of one size that cover the class: their average is the class mean.
        np.testing.assert_allclose(
            images[4 * label : 4 * label + 4].mean(axis=0),
            x[y == label].mean(axis=0),
            rtol=1e-5,
            atol=1e-6,
        )


def test_noise_is_standard_normal():
    images, labels = noise_images((8, 8, 3), 100, num_classes=10, seed=0)
    assert images.shape == (100, 8, 8, 3)
    assert images.dtype == np.float32
    assert abs(images.mean()) < 0.02
    assert abs(images.std() - 1) < 0.02
    np.testing.assert_array_equal(labels, np.repeat(np.arange(10), 10))
    other, _ = noise_images((8, 8, 3), 100, num_classes=10, seed=1)
    assert np.abs(images - other).max() > 1


@pytest.mark.parametrize("make", _FROM_IMAGES)
@pytest.mark.parametrize(
    ("size", "message"),
    [
        (7, "7 is not a positive multiple of the 2 classes; try 6 or 8"),
        (1, "1 is not a positive multiple of the 2 classes; try 2"),
        (0, "0 is not a positive multiple"),
        (62, "62 needs 31 images of each class, but class 1 has only 30"),
    ],
)
def test_impossible_sizes_are_explained(make, size, message):
    with pytest.raises(ValueError, match=message):
        make(*_two_classes(), size, num_classes=2, seed=0)


def test_a_class_without_images_is_named():
    with pytest.raises(ValueError, match="class 2 has only 0"):
        random_subset(*_two_classes(), 3, num_classes=3, seed=0)
    with pytest.raises(ValueError, match="not a positive multiple of the 10"):
        noise_images((2, 2, 1), 15, num_classes=10, seed=0)
    check_support_size(20, 10)


def test_wrong_shapes_are_named():
    x, y = _two_classes()
    with pytest.raises(ValueError, match=r"`images` must be \[n, h, w, c\] and `labels` \[n\]"):
        random_subset(x[..., 0], y, 2, num_classes=2, seed=0)
    with pytest.raises(ValueError, match="got shapes"):
        random_subset(x, y[:-1], 2, num_classes=2, seed=0)
