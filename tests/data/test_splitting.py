import numpy as np
import pytest

from stillhouse.data.splitting import stratified_split


def test_the_split_is_a_partition_with_each_class_in_proportion(rng):
    labels = rng.permutation(np.repeat([0, 1, 2], [100, 50, 10]))
    train, test = stratified_split(labels, 0.2, seed=0)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(160))
    np.testing.assert_array_equal(np.bincount(labels[test]), [20, 10, 2])
    assert (np.diff(train) > 0).all() and (np.diff(test) > 0).all()


def test_the_seed_decides(rng):
    labels = np.arange(100) % 4
    same = [stratified_split(labels, 0.25, seed=3)[1] for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert not np.array_equal(same[0], stratified_split(labels, 0.25, seed=4)[1])


def test_the_number_of_test_images_is_rounded_up():
    assert len(stratified_split(np.arange(21) % 2, 0.1, seed=0)[1]) == 3


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, np.nan, "0.2"])
def test_a_fraction_outside_zero_and_one_is_refused(fraction):
    with pytest.raises(ValueError, match="`test_fraction` must be between 0 and 1"):
        stratified_split(np.arange(20) % 2, fraction, seed=0)


def test_a_fifth_is_held_out_where_no_fraction_is_asked_for():
    assert len(stratified_split(np.arange(20) % 2, None, seed=0)[1]) == 4


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(ValueError, match=rf"`seed` of the split.*got {seed}"):
        stratified_split(np.arange(20) % 2, 0.5, seed=seed)


@pytest.mark.parametrize("labels", [[0, 0, 0, 1], [0, 0, 1, 1]])
def test_too_few_images_are_refused(labels):
    with pytest.raises(ValueError, match="4 images of 2 classes .* too few to hold out 1"):
        stratified_split(np.array(labels), 0.2, seed=0)
