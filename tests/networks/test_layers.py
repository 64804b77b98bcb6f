import equinox as eqx
import jax
import numpy as np
import pytest

from stillhouse.networks.layers import BATCH_AXIS, BatchNorm, check_pools


def test_batch_norm_normalises_by_the_batch_and_later_by_running_averages():
    layer, state = eqx.nn.make_with_state(BatchNorm)(2)
    x = np.random.default_rng(0).normal(3.0, 2.0, (6, 2, 4, 5)).astype(np.float32)

    def run(layer, x, state):
        each = jax.vmap(layer, in_axes=(0, None), out_axes=(0, None), axis_name=BATCH_AXIS)
        return each(x, state)

    mean, variance = (f(x, axis=(0, 2, 3), keepdims=True) for f in (np.mean, np.var))
    y, state = run(layer, x, state)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 1e-5), rtol=1e-4, atol=1e-5)

    y, after = run(eqx.nn.inference_mode(layer), x, state)
    running = 0.1 * mean, 0.9 + 0.1 * variance
    expected = (x - running[0]) / np.sqrt(running[1] + 1e-5)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    for old, new in zip(*map(jax.tree_util.tree_leaves, (state, after)), strict=True):
        np.testing.assert_array_equal(old, new)


def test_pools_halve_and_round_down():
    assert check_pools("net", 28, 35, 3, "") == (3, 4)
    with pytest.raises(ValueError, match="28 x 7 .* too small for net, .* 8 x 8; use another"):
        check_pools("net", 28, 7, 3, "use another")
