"""The dual functions against the formulas in float64."""

import numpy as np
import pytest

from stillhouse.kernels.fused.compile_cache import inlined
from stillhouse.kernels.fused.lanes import lane_zeros, load, rows, store
from stillhouse.kernels.fused.relu import dual_relu, dual_relu_gradient


@inlined
def _values(n, p, q, inverse, results):
    for i in range(n.shape[0]):
        given = load(rows(n), i), load(rows(p), i), load(rows(q), i), load(rows(inverse), i)
        k0, rectified = dual_relu(given[0], given[1], given[2], given[3])
        store(rows(results[0]), i, k0)
        store(rows(results[1]), i, rectified)


@inlined
def _gradients(n, p, q, inverse, results):
    for i in range(n.shape[0]):
        given = load(rows(n), i), load(rows(p), i), load(rows(q), i), load(rows(inverse), i)
        k0, regular, singular = dual_relu_gradient(given[0], given[1], given[2], given[3])
        store(rows(results[0]), i, k0)
        store(rows(results[1]), i, regular)
        store(rows(results[2]), i, singular)


def evaluate(function, n, p, q, results, dtype=np.float32):
    lanes = []
    with np.errstate(divide="ignore"):
        inverse = np.where((p > 0) & (q > 0), 1 / np.sqrt(p * q), 0)
    for numbers in (n, p, q, inverse):
        lanes.append(lane_zeros(len(n) // 16, dtype))
        lanes[-1].ravel()[:] = numbers
    outputs = tuple(np.zeros_like(lanes[0]) for _ in range(results))
    function(*lanes, outputs)
    return [output.ravel().astype(np.float64) for output in outputs]


@pytest.fixture(scope="module")
def covariances():
    """Return n, P and Q that float32 holds, their correlations from -1 to 1, and many near 1."""
    rng = np.random.default_rng(0)
    c = np.concatenate([np.linspace(-1, 1, 16 * 4000), 1 - np.geomspace(1e-6, 1, 1600)])
    p, q = rng.uniform(0.1, 2, (2, len(c))).astype(np.float32)
    n = (c * np.sqrt(p.astype(float) * q)).astype(np.float32)
    return [z.astype(np.float64) for z in (n, p, q)]


def formulas(n, p, q):
    h = np.sqrt(np.maximum(p * q - n * n, 0))
    k0 = (np.pi - np.arctan2(h, n)) / (2 * np.pi)
    return h, k0, h / (2 * np.pi) + n * k0


@pytest.mark.parametrize(("dtype", "error"), [(np.float32, 1e-7), (np.float64, 1e-8)])
def test_values_are_right_to_rounding(covariances, dtype, error):
    k0, rectified = evaluate(_values, *covariances, 2, dtype)
    _, expected_k0, expected = formulas(*covariances)
    np.testing.assert_allclose(k0, expected_k0, rtol=0, atol=error)
    np.testing.assert_allclose(rectified, expected, rtol=0, atol=2 * error)


def test_derivatives_are_right_to_float32_rounding(covariances):
    k0, regular, singular = evaluate(_gradients, *covariances, 3)
    h, expected_k0, _ = formulas(*covariances)
    np.testing.assert_allclose(k0, expected_k0, rtol=0, atol=1e-7)
    np.testing.assert_allclose(regular * 2 * np.pi, h, rtol=5e-7)
    inside = h > 0
    np.testing.assert_allclose(singular[inside] * 2 * np.pi, 1 / h[inside], rtol=5e-7)


def test_equals_and_opposites_are_exact_and_their_singular_term_gone():
    p = np.random.default_rng(0).uniform(0.1, 2, 16).astype(np.float32)
    k0, rectified = evaluate(_values, p, p, p, 2)
    np.testing.assert_array_equal(k0, 0.5)
    np.testing.assert_array_equal(rectified, p / 2)
    k0, rectified = evaluate(_values, -p, p, p, 2)
    np.testing.assert_array_equal(k0, 0)
    np.testing.assert_array_equal(rectified, 0)
    for n in (p, -p):
        _, regular, singular = evaluate(_gradients, n, p, p, 3)
        np.testing.assert_array_equal(regular, 0)
        np.testing.assert_array_equal(singular, 0)


def test_without_variance_nothing_comes_through_and_the_slope_is_a_quarter():
    zero, one = np.zeros(16), np.ones(16)
    _, rectified = evaluate(_values, zero, zero, one, 2)
    np.testing.assert_array_equal(rectified, 0)
    k0, regular, singular = evaluate(_gradients, zero, zero, one, 3)
    np.testing.assert_array_equal(k0, 0.25)
    np.testing.assert_array_equal([regular, singular], 0)
