"""Lanes are computed as NumPy would compute their rows."""

import numpy as np
import pytest

from stillhouse.kernels.fused.compile_cache import inlined
from stillhouse.kernels.fused.lanes import (
    LANES,
    absolute,
    add_lanes,
    is_spread,
    lane_zeros,
    larger,
    load,
    product_gap,
    rows,
    smaller,
    square_root,
    store,
    where_positive,
)


@inlined
def _compute(a, b, number, results):
    out = rows(results)
    x, y = load(rows(a), 1), load(rows(b), 2)
    store(out, 0, x + y * number)
    store(out, 1, number - x / y)
    store(out, 2, square_root(absolute(x)))
    store(out, 3, larger(x, y))
    store(out, 4, smaller(x, number))
    store(out, 5, where_positive(x, y, number))
    store(out, 6, broadcast_sum(y))
    store(out, 7, product_gap(x, y, x))


@inlined
def broadcast_sum(y):
    return y * np.float32(0) + add_lanes(y)


@inlined
def _is_spread(array):
    return is_spread(rows(array))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_operation(dtype):
    rng = np.random.default_rng(0)
    a, b, results = lane_zeros(2, dtype), lane_zeros(3, dtype), lane_zeros(8, dtype)
    a[:], b[:] = rng.standard_normal(a.shape), rng.standard_normal(b.shape)
    _compute(a, b, np.float32(0.5), results)
    x, y = a[1], b[2]
    expected = [
        x + y / 2,
        0.5 - x / y,
        np.sqrt(np.abs(x)),
        np.maximum(x, y),
        np.minimum(x, 0.5),
        np.where(x > 0, y, 0.5),
        np.full(LANES, y.sum()),
        x * y - x * x,
    ]
    rounding = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(results, expected, rtol=rounding, atol=rounding)


@inlined
def _gap(p, q, n, results):
    store(rows(results), 0, product_gap(load(rows(p), 0), load(rows(q), 0), load(rows(n), 0)))


def test_the_difference_of_nearly_equal_products_keeps_its_digits():
    p, q, n, results = (lane_zeros(1) for _ in range(4))
    rng = np.random.default_rng(1)
    p[:] = rng.uniform(1, 2, p.shape)
    q[:] = p * (1 + rng.uniform(-1e-6, 1e-6, p.shape))
    n[:] = p * (1 + rng.uniform(-1e-6, 1e-6, p.shape))
    n[0, 0] = q[0, 0] = p[0, 0]
    _gap(p, q, n, results)
    exact = (z.astype(np.float64) for z in (p, q, n))
    expected = next(exact) * next(exact) - next(exact) ** 2
    assert results[0, 0] == 0
    np.testing.assert_allclose(results, expected, rtol=2e-7, atol=1e-13)


def test_one_number_per_row_fills_all_lanes():
    numbers, results = np.arange(4, dtype=np.float32), lane_zeros(8)
    b = lane_zeros(3) + 2
    _compute(numbers, b, np.float32(0.5), results)
    np.testing.assert_array_equal(results[3], 2)
    np.testing.assert_array_equal(results[0], 2)
    assert _is_spread(numbers)
    assert not _is_spread(b)


def test_nothing_is_dropped_of_nan_and_infinity():
    a, b, results = lane_zeros(2), lane_zeros(3) + 1, lane_zeros(8)
    a[1, :3] = np.nan, np.inf, -np.inf
    _compute(a, b, np.float32(0.5), results)
    np.testing.assert_array_equal(results[0, :4], [np.nan, np.inf, -np.inf, 0.5])
    assert np.isnan(results[2, 0])


def test_rows_start_at_cache_lines():
    for size in (1, 3, 1000):
        assert lane_zeros(size).shape == (size, LANES)
        assert lane_zeros(size).ctypes.data % 64 == 0
