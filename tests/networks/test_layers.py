import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stillhouse.networks.alexcifar import _response_norm
from stillhouse.networks.layers import (
    BATCH_AXIS,
    BatchNorm,
    activation,
    average_pool,
    check_pools,
    conv,
    flatten,
    max_pool,
    norm_layers,
)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_multiplies_each_window_of_the_image_with_zeros_around(stride):
    rng = np.random.default_rng(0)
    layer = jax.tree_util.tree_map(
        lambda weight: rng.normal(size=weight.shape).astype(np.float32),
        conv(2, 4, window=3, stride=stride),
    )
    x = rng.normal(size=(6, 5, 2)).astype(np.float32)
    around = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    expected = [
        [np.einsum("ijc,ocij->o", around[i : i + 3, j : j + 3], layer.weight)
         for j in range(0, 5, stride)]
        for i in range(0, 6, stride)
    ]  # fmt: skip
    found = layer(jnp.asarray(x))
    np.testing.assert_allclose(found, expected + layer.bias.ravel(), rtol=1e-4, atol=1e-4)


def test_features_are_laid_out_channel_by_channel():
    x = np.arange(12.0).reshape(2, 3, 2)
    assert flatten()(x).tolist() == [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]


def test_batch_norm_normalises_by_the_batch_and_later_by_running_averages():
    layer, state = eqx.nn.make_with_state(BatchNorm)(2)
    x = np.random.default_rng(0).normal(3.0, 2.0, (6, 4, 5, 2)).astype(np.float32)

    def run(layer, x, state):
        each = jax.vmap(layer, in_axes=(0, None), out_axes=(0, None), axis_name=BATCH_AXIS)
        return each(x, state)

    mean, variance = (f(x, axis=(0, 1, 2), keepdims=True) for f in (np.mean, np.var))
    y, state = run(layer, x, state)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 1e-5), rtol=1e-4, atol=1e-5)

    y, after = run(eqx.nn.inference_mode(layer), x, state)
    running = 0.1 * mean, 0.9 + 0.1 * variance
    expected = (x - running[0]) / np.sqrt(running[1] + 1e-5)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    for old, new in zip(*map(jax.tree_util.tree_leaves, (state, after)), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(("norm", "groups"), [("instance", 8), ("layer", 1), ("group", 4)])
def test_norms_normalise_an_image_over_their_groups_of_channels(norm, groups):
    x = np.random.default_rng(0).normal(3.0, 2.0, (8, 5, 6)).astype(np.float32)
    (layer,) = norm_layers(norm, 8)
    parts = x.reshape(groups, -1)
    normal = (parts - parts.mean(axis=1, keepdims=True)) / parts.std(axis=1, keepdims=True)
    found = np.moveaxis(layer(np.moveaxis(x, 0, 2)), 2, 0)
    np.testing.assert_allclose(found, normal.reshape(x.shape), rtol=1e-3, atol=1e-4)


def test_max_pools_take_the_largest_of_four_and_drop_what_is_left_over():
    x = np.arange(15.0, dtype=np.float32).reshape(3, 5, 1)
    assert max_pool()(x).tolist() == [[[6.0], [8.0]]]


def test_average_pools_take_the_mean_of_four_and_drop_what_is_left_over():
    x = np.arange(15.0, dtype=np.float32).reshape(3, 5, 1)
    assert average_pool()(x).tolist() == [[[3.0], [5.0]]]


def test_activations_are_what_they_are_called():
    x = np.array([-2.0, 0.5], np.float32)
    sigmoid = 1 / (1 + np.exp(-x))
    for name, expected in (
        ("relu", [0, 0.5]),
        ("leaky_relu", [-0.02, 0.5]),
        ("sigmoid", sigmoid),
        ("swish", x * sigmoid),
    ):
        np.testing.assert_allclose(activation(name)(x), expected, rtol=1e-5)


def test_response_norm_divides_by_the_mean_square_of_four_channels():
    x = np.random.default_rng(0).normal(0.0, 30.0, (2, 3, 6)).astype(np.float32)
    for c in range(6):
        near = [x[..., i] ** 2 for i in range(c - 2, c + 2) if 0 <= i < 6]
        expected = x[..., c] / (1 + 0.001 / 9 * sum(near) / 4) ** 0.75
        np.testing.assert_allclose(_response_norm(x)[..., c], expected, rtol=1e-5)


def test_pools_halve_and_round_down():
    assert check_pools("net", 28, 35, 3, "") == (3, 4)
    with pytest.raises(ValueError, match="28 x 7 .* too small for net, .* 8 x 8; use another"):
        check_pools("net", 28, 7, 3, "use another")
