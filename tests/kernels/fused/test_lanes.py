"""Lanes are computed as NumPy would compute their rows."""

import numpy as np

from stillhouse.kernels.fused.compile_cache import inlined
from stillhouse.kernels.fused.lanes import (
    LANES,
    absolute,
    add_lanes,
    broadcast,
    is_spread,
    lane_zeros,
    larger,
    load,
    rows,
    smaller,
    square_root,
    store,
    where_negative,
)


@inlined
def _compute(a, b, number, results):
    out = rows(results)
    x, y = load(rows(a), 1), load(rows(b), 2)
    store(out, 0, x + y * number)
    store(out, 1, number - x / y)
    store(out, 2, square_root(absolute(x)))
    store(out, 3, larger(x, y))
    store(out, 4, smaller(x, broadcast(number)))
    store(out, 5, where_negative(x, y, x))
    store(out, 6, broadcast(add_lanes(y)))


@inlined
def _is_spread(array):
    return is_spread(rows(array))


def test_every_operation():
    rng = np.random.default_rng(0)
    a, b, results = lane_zeros(2), lane_zeros(3), lane_zeros(7)
    a[:], b[:] = rng.standard_normal(a.shape), rng.standard_normal(b.shape)
    _compute(a, b, np.float32(0.5), results)
    x, y = a[1], b[2]
    expected = [
        x + y / 2,
        0.5 - x / y,
        np.sqrt(np.abs(x)),
        np.maximum(x, y),
        np.minimum(x, 0.5),
        np.where(x < 0, y, x),
        np.full(LANES, y.sum()),
    ]
    np.testing.assert_allclose(results, expected, rtol=1e-6, atol=1e-6)


def test_one_number_per_row_fills_all_lanes():
    numbers, results = np.arange(4, dtype=np.float32), lane_zeros(7)
    b = lane_zeros(3) + 2
    _compute(numbers, b, np.float32(0.5), results)
    np.testing.assert_array_equal(results[3], 2)
    np.testing.assert_array_equal(results[0], 2)
    assert _is_spread(numbers)
    assert not _is_spread(b)


def test_nothing_is_dropped_of_nan_and_infinity():
    a, b, results = lane_zeros(2), lane_zeros(3) + 1, lane_zeros(7)
    a[1, :3] = np.nan, np.inf, -np.inf
    _compute(a, b, np.float32(0.5), results)
    np.testing.assert_array_equal(results[0, :4], [np.nan, np.inf, -np.inf, 0.5])
    assert np.isnan(results[2, 0])


def test_rows_start_at_cache_lines():
    for size in (1, 3, 1000):
        assert lane_zeros(size).shape == (size, LANES)
        assert lane_zeros(size).ctypes.data % 64 == 0
