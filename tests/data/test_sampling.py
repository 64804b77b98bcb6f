import numpy as np
import pytest

from stillhouse.data.sampling import class_balanced_indices, rng_for


def test_a_generator_is_a_pure_function_of_its_arguments():
    first, second = (rng_for(3, "targets", 7).random(4) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_different_arguments_give_different_streams():
    streams = [
        (0,), (1,), (0, 0), (0, 1), (0, "1"), (0, "a", 1), (0, "a1"), (0, 1, 0), (1, 0),
        # One number above 2**32 is not two below it.
        (2**32,), (0, 2**32), (2**32, 0),
    ]  # fmt: skip
    drawn = {rng_for(*stream).integers(2**63) for stream in streams}
    assert len(drawn) == len(streams)


def test_the_streams_are_the_same_on_every_machine():
    # Written down once: a change here changes every run of every user.
    assert rng_for(0, "targets", 0).integers(1000, size=3).tolist() == [607, 756, 543]
    assert rng_for(12, "targets", 345).permutation(8).tolist() == [7, 1, 0, 4, 6, 5, 3, 2]


def test_numpy_integers_count_as_integers():
    assert rng_for(np.int64(5), np.int32(2)).random() == rng_for(5, 2).random()


@pytest.mark.parametrize("seed", [-1, 1.5, "0", True, None])
def test_seeds_that_are_no_counting_numbers_are_refused(seed):
    with pytest.raises(ValueError, match="`seed` must be an integer, zero or positive"):
        rng_for(seed)


def test_streams_of_other_things_are_refused():
    with pytest.raises(ValueError, match="made of texts and integers, got 1.5"):
        rng_for(0, 1.5)


def test_a_sample_is_balanced_and_without_replacement(rng):
    labels = rng.permutation(np.repeat([0, 1, 2, 3], [20, 7, 30, 10]))
    indices = class_balanced_indices(labels, 28, rng_for(0))
    assert indices.dtype == np.int64
    assert len(set(indices.tolist())) == 28
    np.testing.assert_array_equal(labels[indices], np.repeat(np.arange(4), 7))


def test_every_image_is_drawn_equally_often():
    labels = np.array([0] * 5 + [1] * 10)
    counts = np.zeros(15)
    for step in range(2000):
        counts[class_balanced_indices(labels, 4, rng_for(0, step))] += 1
    # Two of five and two of ten: 800 and 400 times, with standard deviations of 22 and 18.
    np.testing.assert_allclose(counts[:5], 800, atol=110)
    np.testing.assert_allclose(counts[5:], 400, atol=90)


def test_a_remainder_goes_to_random_classes():
    labels = np.arange(60) % 3
    drawn = [np.bincount(labels[class_balanced_indices(labels, 7, rng_for(s))]) for s in range(30)]
    assert {tuple(sorted(counts)) for counts in drawn} == {(2, 2, 3)}
    assert {int(counts.argmax()) for counts in drawn} == {0, 1, 2}


def test_a_class_with_too_few_images_is_named():
    labels = np.array([0] * 10 + [1] * 3 + [2] * 10)
    with pytest.raises(ValueError, match="need 4 of each, but class 1 has 3: ask for 9 at most"):
        class_balanced_indices(labels, 12, rng_for(0))
    assert len(class_balanced_indices(labels, 9, rng_for(0))) == 9


def test_a_class_without_images_is_named():
    with pytest.raises(ValueError, match="class 1 has 0"):
        class_balanced_indices(np.array([0, 0, 2, 2]), 3, rng_for(0))


@pytest.mark.parametrize("size", [0, -3])
def test_an_empty_sample_is_refused(size):
    with pytest.raises(ValueError, match=rf"got a size of {size}"):
        class_balanced_indices(np.array([0, 1]), size, rng_for(0))
