"""The polynomials against the formulas in float64."""

import numpy as np
import pytest

from stillhouse.kernels.fused.compile_cache import inlined
from stillhouse.kernels.fused.lanes import lane_zeros, load, rows, store
from stillhouse.kernels.fused.relu import dual_relu, dual_relu_gradient


@inlined
def _values(c, results):
    for i in range(c.shape[0]):
        k0, k1 = dual_relu(load(rows(c), i))
        store(rows(results[0]), i, k0)
        store(rows(results[1]), i, k1)


@inlined
def _gradients(c, results):
    for i in range(c.shape[0]):
        k0, s, singular = dual_relu_gradient(load(rows(c), i))
        store(rows(results[0]), i, k0)
        store(rows(results[1]), i, s)
        store(rows(results[2]), i, singular)


def evaluate(function, c, results):
    lanes = lane_zeros(len(c) // 16)
    lanes.ravel()[:] = c
    outputs = tuple(np.zeros_like(lanes) for _ in range(results))
    function(lanes, outputs)
    return [output.ravel().astype(np.float64) for output in outputs]


@pytest.fixture(scope="module")
def correlations():
    c = np.concatenate([np.linspace(-1, 1, 16 * 4000), 1 - np.geomspace(1e-6, 1, 1600)])
    return c.astype(np.float32)


def test_values_are_right_to_float32_rounding(correlations):
    c = correlations.astype(np.float64)
    k0, k1 = evaluate(_values, correlations, 2)
    expected = (np.pi - np.arccos(c)) / (2 * np.pi)
    np.testing.assert_allclose(k0, expected, rtol=0, atol=5e-8)
    expected = (np.sqrt(1 - c * c) + (np.pi - np.arccos(c)) * c) / (2 * np.pi)
    np.testing.assert_allclose(k1, expected, rtol=0, atol=5e-8)


def test_derivatives_are_right_to_float32_rounding(correlations):
    c = correlations.astype(np.float64)
    k0, s, singular = evaluate(_gradients, correlations, 3)
    np.testing.assert_allclose(k0, (np.pi - np.arccos(c)) / (2 * np.pi), rtol=0, atol=5e-8)
    expected = np.sqrt((1 - c) * (1 + c))
    np.testing.assert_allclose(s * 2 * np.pi, expected, rtol=5e-7, atol=2e-8)
    inside = expected > 0
    np.testing.assert_allclose(singular[inside] * 2 * np.pi, 1 / expected[inside], rtol=5e-7)


def test_at_and_beyond_one_everything_is_finite_and_the_singular_term_gone():
    c = np.repeat(np.float32([1.0, -1.0, 1.0000001, 3e30]), 16)
    k0, k1 = evaluate(_values, c, 2)
    np.testing.assert_array_equal(k0.reshape(4, 16)[:, 0], [0.5, 0.0, 0.5, 0.5])
    np.testing.assert_allclose(k1.reshape(4, 16)[:3, 0], [0.5, 0.0, 0.5], atol=1e-7)
    _, s, singular = evaluate(_gradients, c, 3)
    np.testing.assert_array_equal(s, 0)
    np.testing.assert_array_equal(singular, 0)
