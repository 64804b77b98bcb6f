"""Near pairs come from float64, whatever they lie among, and everything else from the backend."""

import numpy as np
import pytest

from stillhouse.kernels import KernelSpec, conv, convnet
from stillhouse.kernels.fused import FusedKernel
from stillhouse.kernels.fused.listed import ListedPairs
from stillhouse.kernels.threads import Workers
from stillhouse.methods.kernel_regression.ridge import ridge_factor

SHAPE = (8, 7, 1)


def images(n, seed=0):
    return np.random.default_rng(seed).standard_normal((n, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module", params=["ntk", "nngp"])
def spec(request):
    return KernelSpec(convnet(2), request.param)


@pytest.mark.parametrize("count", [1, 16, 21])
def test_listed_pairs_are_those_of_whole_covariances(brute_force, spec, count):
    x1, x2 = images(count), images(count, seed=1)
    x2[0] = x1[0] + 1e-4 * x2[0]
    with Workers(2) as workers:
        found = ListedPairs(spec, SHAPE).pairs(x1, x2, workers)
    expected = [brute_force(spec, x1[k : k + 1], x2[k : k + 1])[0, 0] for k in range(count)]
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_gradients_of_listed_pairs_are_finite_differences(spec, directional_derivative):
    x1, x2, v1, v2 = (images(18, seed=k).astype(np.float64) for k in range(4))
    cotangent = np.random.default_rng(0).normal(size=18)
    listed = ListedPairs(spec, SHAPE)
    with Workers(1) as workers:
        gradients = np.zeros((2, *x1.shape))
        for part, *both in listed.pairs_vjp(x1, x2, cotangent, workers):
            gradients[:, part] = both
        of_selves = listed.selves_vjp(x1, cotangent, workers)
        for gradient, x, v, value in [
            (gradients[0], x1, v1, lambda x: cotangent @ listed.pairs(x, x2, workers)),
            (gradients[1], x2, v2, lambda x: cotangent @ listed.pairs(x1, x, workers)),
            (of_selves, x1, v1, lambda x: cotangent @ listed.selves(x, workers)),
        ]:
            slope = directional_derivative(value, x, v)
            np.testing.assert_allclose(np.sum(gradient * v), slope, rtol=1e-6)


def test_a_near_pair_has_the_same_numbers_alone_and_among_others(spec):
    x1, x2 = images(20), images(19, seed=1)
    x2[[2, 17]] = x1[[11, 3]] + 1e-3 * images(2, seed=2)
    one, two = FusedKernel(spec, threads=1), FusedKernel(spec, threads=2)
    block = one.block(x1, x2)
    np.testing.assert_array_equal(block, two.block(x1, x2))
    np.testing.assert_array_equal(block.T, one.block(x2, x1))
    assert block[11, 2] == one.block(x1[11:12], x2[2:3])[0, 0]
    cotangent = np.zeros_like(block)
    cotangent[11, 2] = 1.0
    alone = one.vjp(x1[11:12], x2[2:3], np.ones((1, 1)))
    for mine, theirs, place in zip(alone, two.vjp(x1, x2, cotangent), (11, 2), strict=True):
        np.testing.assert_array_equal(theirs[place], mine[0])
        assert np.count_nonzero(theirs.any(axis=(1, 2, 3))) == 1


def test_the_gradient_of_a_gram_matrix_takes_both_sides_of_a_near_pair(spec):
    x = images(4)
    x[3] = x[1] + 1e-3 * x[3]
    found = FusedKernel(spec)
    square = np.random.default_rng(0).normal(size=(4, 4))
    off = square - np.diag(np.diag(square))
    expected = np.sum(found.vjp(x, x, off), axis=0) + found.gram_vjp(x, np.diag(np.diag(square)))
    np.testing.assert_allclose(found.gram_vjp(x, square), expected, rtol=1e-4, atol=1e-5)
    gram = found.gram(x)
    np.testing.assert_array_equal(gram, gram.T)
    assert gram[1, 3] == found.block(x[1:2], x[3:4])[0, 0]


@pytest.mark.parametrize("noise", [1e-2, 1e-3, 1e-4])
def test_a_hundred_near_duplicates_have_a_positive_definite_matrix(noise):
    x = images(1) + noise * images(100, seed=1)
    gram = FusedKernel(KernelSpec(conv(2))).gram(x)
    ridge_factor(gram, 1e-6)  # raises where it is not
    assert np.linalg.eigvalsh(gram.astype(np.float64))[0] > 0


def test_no_image_is_changed_and_no_cotangent():
    x = images(3)
    x[1] = x[0] + 1e-3
    before, cotangent = x.copy(), np.ones((3, 3), np.float32)
    FusedKernel(KernelSpec(convnet(1))).gram_vjp(x, cotangent)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(cotangent, 1)
