import numpy as np
import pytest

from stillhouse.data import dataset_from_arrays
from stillhouse.data.augmentation import Augmentation, augment
from stillhouse.data.batches import TargetBatches, split_chunks
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.sampling import rng_for
from stillhouse.data.transforms import fit_transform


@pytest.fixture
def transform(photographs):
    return fit_transform("standardise", photographs.x_train)


def rows_of(images, pool):
    """Return for each image its place in the pool."""
    return [int(np.flatnonzero((pool == image).all(axis=(1, 2, 3)))[0]) for image in images]


def test_a_batch_is_balanced_real_and_labelled(photographs, transform):
    x, y = TargetBatches(photographs, transform, 20, seed=0).batch(0)
    assert x.shape == (20, 6, 5, 3) and x.dtype == np.float32
    assert y.shape == (20, 4) and y.dtype == np.float32
    rows = rows_of(x, transform.apply(photographs.x_train))
    assert len(set(rows)) == 20
    np.testing.assert_array_equal(y, centred_one_hot(photographs.y_train[rows], 4))
    np.testing.assert_array_equal(np.bincount(photographs.y_train[rows]), [5, 5, 5, 5])


def test_a_batch_depends_on_seed_and_step_alone(photographs, transform):
    batches = TargetBatches(photographs, transform, 20, seed=0, augmentation=Augmentation())
    in_order = [batches.batch(step)[0] for step in range(3)]
    # Another object, another order, steps left out: a run that resumes.
    again = TargetBatches(photographs, transform, 20, seed=0, augmentation=Augmentation())
    np.testing.assert_array_equal(again.batch(2)[0], in_order[2])
    np.testing.assert_array_equal(again.batch(0)[0], in_order[0])


def test_other_steps_and_seeds_draw_other_images(photographs, transform):
    batches = TargetBatches(photographs, transform, 20, seed=0)
    drawn = [batches.batch(step)[0].tobytes() for step in range(4)]
    drawn += [TargetBatches(photographs, transform, 20, seed=1).batch(0)[0].tobytes()]
    assert len(set(drawn)) == 5


def test_augmentation_comes_before_the_transform_and_keeps_the_draw(photographs, transform):
    augmentation = Augmentation(fraction=1.0, shift=0.3)
    plain = TargetBatches(photographs, transform, 20, seed=0)
    augmented = TargetBatches(photographs, transform, 20, seed=0, augmentation=augmentation)
    raw = photographs.x_train[rows_of(plain.batch(4)[0], transform.apply(photographs.x_train))]
    expected = transform.apply(augment(raw, augmentation, rng_for(0, "augment", 4)))
    np.testing.assert_array_equal(augmented.batch(4)[0], expected)
    np.testing.assert_array_equal(augmented.batch(4)[1], plain.batch(4)[1])


@pytest.mark.parametrize("size", [5, 12, 100])
def test_chunks_are_the_split_in_order(photographs, transform, size):
    chunks = list(TargetBatches(photographs, transform, 20, seed=0).chunks("test", size))
    assert all(len(x) == len(y) <= size for x, y in chunks)
    images, labels = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    np.testing.assert_array_equal(images, transform.apply(photographs.x_test))
    np.testing.assert_array_equal(labels, centred_one_hot(photographs.y_test, 4))


def test_chunks_are_never_augmented(photographs, transform):
    batches = TargetBatches(photographs, transform, 20, 0, Augmentation(fraction=1.0))
    x, _ = next(batches.chunks("train", 60))
    np.testing.assert_array_equal(x, transform.apply(photographs.x_train))


def test_bad_chunks_are_refused_before_the_first_is_asked_for(photographs, transform):
    with pytest.raises(ValueError, match="`split` must be 'train' or 'test', got 'valid'"):
        split_chunks(photographs, transform, "valid", 10)
    with pytest.raises(ValueError, match="`size` of a chunk must be positive, got 0"):
        split_chunks(photographs, transform, "test", 0)


def test_a_batch_larger_than_the_rarest_class_allows_is_refused(rng):
    labels = np.array([0] * 30 + [1] * 4 + [2] * 30)
    images = rng.random((64, 3, 3))
    dataset = dataset_from_arrays(images, labels, images, labels)
    transform = fit_transform("none", dataset.x_train)
    with pytest.raises(
        ValueError, match="`batch_size`: 15 images .* class 1 has 4: ask for 12 at most"
    ):
        TargetBatches(dataset, transform, 15, seed=0)
    with pytest.raises(ValueError, match="`batch_size`: .* got a size of 0"):
        TargetBatches(dataset, transform, 0, seed=0)
    assert TargetBatches(dataset, transform, 12, seed=0).batch(0)[0].shape == (12, 3, 3, 1)


def test_a_bad_seed_or_step_is_refused(photographs, transform):
    with pytest.raises(ValueError, match="`seed`.*got -1"):
        TargetBatches(photographs, transform, 20, seed=-1)
    with pytest.raises(ValueError, match="`step` must be zero or positive, got -1"):
        TargetBatches(photographs, transform, 20, seed=0).batch(-1)
