"""Which pairs go through float64, and that those are the ones that need it."""

import numpy as np
import pytest

from stillhouse.kernels import conv, convnet, fc
from stillhouse.kernels.fused.near import NearImages
from stillhouse.kernels.threads import Workers

SHAPE = (12, 12, 1)


def images(n, seed=0):
    return np.random.default_rng(seed).standard_normal((n, *SHAPE)).astype(np.float32)


def near(x1, x2, architecture=None, **options):
    with Workers(1) as workers:
        found = NearImages(architecture or convnet(2)).pairs(x1, x2, workers, **options)
    return list(zip(*(z.tolist() for z in found), strict=True))


@pytest.mark.parametrize("noise", [0.0, 1e-6, 1e-3, 0.1])
def test_near_duplicates_are_found_among_many_images(noise):
    x1, x2 = images(5), images(40, seed=1)
    x2[[3, 20, 39]] = x1[[4, 0, 4]] + noise * images(3, seed=2)
    expected = [(0, 20), (4, 3), (4, 39)]
    assert near(x1, x2) == expected
    assert near(x2, x1) == sorted((j, i) for i, j in expected)


def test_a_gram_matrix_has_each_pair_once():
    x = images(40)
    x[[7, 33]] = x[2] + 1e-3 * images(2, seed=1)
    assert near(x, x, upper=True) == [(2, 7), (2, 33), (7, 33)]


def test_opposites_and_multiples_are_near_where_no_bias_parts_them():
    x = images(2)
    assert near(x, -x, conv(2, b_std=0.0)) == [(0, 0), (1, 1)]
    assert near(x, 3 * x, conv(2, b_std=0.0)) == [(0, 0), (1, 1)]
    assert near(x, -x, conv(2, b_std=1.0)) == []


def test_images_that_are_small_beside_the_biases_are_all_near():
    assert len(near(1e-4 * images(3), 1e-4 * images(3, seed=1))) == 9
    assert near(1e-4 * images(3), 1e-4 * images(3, seed=1), convnet(2, b_std=0.0)) == []
    assert len(near(1e-9 * images(3), 1e-9 * images(3, seed=1), convnet(2, b_std=0.0))) == 9


def test_a_background_is_near_if_it_is_all_but_equal():
    x1, x2 = images(3), images(3, seed=1)
    x1[:, :5], x2[:, :5] = -0.4, -0.4
    assert near(x1, x2) == []  # equal patches are exact in float32
    x2[1, :5] += 1e-4 * images(1, seed=2)[0, :5]
    assert near(x1, x2) == [(0, 1), (1, 1), (2, 1)]


def test_a_single_patch_can_be_too_near():
    x1, x2 = np.full((2, 1, *SHAPE), -0.4, np.float32)
    x1[0, 4:8, 4:8], x2[0, 4:8, 4:8] = images(2)[:, :4, :4]
    x2[0, 7, 7] = x1[0, 7, 7] + 1e-3  # all that the patch around (8, 8) sees beside background
    assert near(x1, x2) == [(0, 0)]
    x2[0, 7, 7] += 0.2
    assert near(x1, x2) == []


def test_vectors_are_taken_as_a_whole():
    x1, x2 = images(3), images(3, seed=1)
    x1[:, :5], x2[:, :5] = 0.0, 1e-4
    assert near(x1, x2, fc(2)) == []
    assert near(x1, x1 + 1e-2, fc(2)) == [(0, 0), (1, 1), (2, 2)]


def test_an_image_is_near_itself_where_it_hardly_changes():
    x = images(5)
    x[0] = 1.0  # equal patches, and borders far from them
    x[1] = 1.0 + 1e-3 * x[1]
    x[2, :6] = 0.5 + 1e-4 * x[2, :6]
    x[3] *= 1e-5
    assert NearImages(convnet(2)).selves(x).tolist() == [False, True, True, True, False]
    assert not NearImages(fc(1)).selves(x).any()
