"""The dense layers against the formulas of Cho and Saul, and finite differences."""

import math

import numpy as np
import pytest

from stillhouse.kernels import Dense, Relu
from stillhouse.kernels.fused.dense import DenseTail

LAYERS = (Dense(1.3, 0.2), Relu(), Dense(0.8, 0.0), Relu(), Dense())
RNG = np.random.default_rng(0)


def values(n1, n2):
    """Covariances of random vectors, and any t."""
    a, b = RNG.normal(size=(n1, 9)), RNG.normal(size=(n2, 9))
    return a @ b.T, RNG.normal(size=(n1, n2)), (a * a).sum(1), (b * b).sum(1)


def one_pair(layers, n, t, v1, v2):
    for layer in layers:
        if isinstance(layer, Dense):
            n, v1, v2 = (layer.W_std**2 * v + layer.b_std**2 for v in (n, v1, v2))
            t = layer.W_std**2 * t + n
        else:
            theta = math.acos(max(-1.0, min(1.0, n / math.sqrt(v1 * v2))))
            t *= (math.pi - theta) / (2 * math.pi)
            n = math.sqrt(v1 * v2) * (math.sin(theta) + (math.pi - theta) * math.cos(theta))
            n, v1, v2 = n / (2 * math.pi), v1 / 2, v2 / 2
    return n, t


def test_pairs_are_those_of_the_formula():
    n, t, v1, v2 = values(3, 4)
    found = DenseTail(LAYERS, smallest_gap=1e-12).pairs(n, t, v1[:, None], v2[None])
    for i in range(3):
        for j in range(4):
            expected = one_pair(LAYERS, n[i, j], t[i, j], v1[i], v2[j])
            np.testing.assert_allclose([part[i, j] for part in found], expected, rtol=1e-12)
    listed = DenseTail(LAYERS, smallest_gap=1e-12).pairs(n[:, 0], t[:, 0], v1, v2[:1].repeat(3))
    np.testing.assert_allclose(listed, [part[:, 0] for part in found], rtol=1e-12)


def test_selves_are_pairs_of_equals():
    _, t, v, _ = values(3, 3)
    found = DenseTail(LAYERS, smallest_gap=1e-12).selves(v, np.diag(t))
    expected = [one_pair(LAYERS, v[i], t[i, i], v[i], v[i]) for i in range(3)]
    np.testing.assert_allclose(np.array(found).T, expected, rtol=1e-7)


@pytest.mark.parametrize("kind", [0, 1])
def test_the_vjp_agrees_with_finite_differences(kind):
    tail = DenseTail(LAYERS, smallest_gap=1e-12)
    n, t, v1, v2 = values(3, 4)
    at = n, t, v1[:, None], v2[None]
    weights = RNG.normal(size=(3, 4))
    zeros = np.zeros_like(weights)
    cotangents = (weights, zeros) if kind == 0 else (zeros, weights)
    for gradient, i in zip(tail.pairs_vjp(*cotangents, *at), range(4), strict=True):
        v = RNG.normal(size=at[i].shape)
        up, down = ([*at[:i], at[i] + e * v, *at[i + 1 :]] for e in (1e-6, -1e-6))
        slope = np.sum(weights * (tail.pairs(*up)[kind] - tail.pairs(*down)[kind])) / 2e-6
        assert np.sum(gradient * v) == pytest.approx(slope, rel=1e-6, abs=1e-8)
    v, t = v1, np.ones(3)
    g_v, g_t = tail.selves_vjp(*(part[:, 0] for part in cotangents))
    slope = np.sum(weights[:, 0] * tail.selves(v, t)[kind])
    zero = np.sum(weights[:, 0] * tail.selves(0 * v, 0 * t)[kind])
    assert np.sum(g_v * v + g_t * t) == pytest.approx(slope - zero)


def test_without_a_relu_no_values_are_needed():
    tail = DenseTail(LAYERS[:1], smallest_gap=1e-12)
    assert tail.is_linear
    assert not DenseTail(LAYERS, smallest_gap=1e-12).is_linear
    zeros, (n, t, v1, v2) = np.zeros((3, 4)), values(3, 4)
    at = n, t, v1[:, None], v2[None]
    blind = tail.pairs_vjp(zeros + 1, zeros + 2, zeros, zeros, *at[2:])
    for mine, theirs in zip(blind, tail.pairs_vjp(zeros + 1, zeros + 2, *at), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_an_image_without_variance_gives_numbers():
    tail = DenseTail((Relu(), Dense(1.0, 0.0)), smallest_gap=1e-12)
    zero = np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((1, 1)), np.ones((1, 1))
    assert [part.item() for part in tail.pairs(*zero)] == [0.0, 0.0]
    for gradient in tail.pairs_vjp(np.ones((1, 1)), np.ones((1, 1)), *zero):
        assert np.isfinite(gradient).all()
