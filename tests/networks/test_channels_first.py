import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from stillhouse.networks import layers
from stillhouse.networks.channels_first import ChannelsFirst, conv, flatten, max_pool


def normal(*shape):
    return jnp.asarray(np.random.default_rng(len(shape)).normal(size=shape), jnp.float32)


def drawn(layer):
    return jax.tree_util.tree_map(lambda shape: normal(*shape.shape), layer)


def test_a_convolution_is_the_one_with_channels_last():
    first = drawn(conv(2, 3, window=5, padding=2))
    last = drawn(layers.conv(2, 3, window=5))
    x = normal(9, 8, 2)
    found = jnp.moveaxis(first(jnp.moveaxis(x, 2, 0)), 0, 2)
    np.testing.assert_allclose(found, last(x), rtol=1e-4, atol=1e-4)


def test_max_pools_take_the_largest_of_four_and_drop_what_is_left_over():
    x = jnp.arange(15.0).reshape(1, 3, 5)
    assert max_pool()(x).tolist() == [[[6.0, 8.0]]]


def test_an_image_comes_with_its_channels_last():
    x = normal(4, 3, 2)
    flat = ChannelsFirst([eqx.nn.Lambda(jnp.negative), flatten(), eqx.nn.Lambda(jnp.sum)])
    by_channel = -np.moveaxis(x, 2, 0).ravel()
    np.testing.assert_array_equal(flat[:-1](x), by_channel)
    np.testing.assert_array_equal(flat[1](-np.moveaxis(x, 2, 0)), by_channel)
