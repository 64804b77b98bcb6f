import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stillhouse.kernels.architecture import convnet, fc
from stillhouse.methods.kernel_regression.pooled_conv import begins_pooled, pooled_conv

RNG = np.random.default_rng(0)


def plainly(x, W, b, pool):
    """A convolution, ReLU, and windows that are reduced."""
    found = jax.lax.conv_general_dilated(
        x, W, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), precision="highest"
    )
    sums = jax.lax.reduce_window(
        jax.nn.relu(found + b), 0.0, jax.lax.add, (1, *pool, 1), (1, *pool, 1), "VALID"
    )
    return sums / np.prod(pool)


@pytest.mark.parametrize(
    ("image", "window", "pool"),
    [
        ((8, 8, 3), (3, 3), (2, 2)),
        ((7, 9, 1), (3, 3), (2, 2)),
        ((6, 7, 2), (2, 3), (2, 3)),
        ((9, 8, 1), (5, 1), (1, 4)),
    ],
)
def test_it_is_a_convolution_relu_and_pool(image, window, pool):
    x = RNG.standard_normal((3, *image), np.float32)
    W = RNG.standard_normal((*window, image[2], 5), np.float32)
    b = RNG.standard_normal(5, np.float32)
    expected = plainly(x, W, b, pool)
    np.testing.assert_allclose(pooled_conv(x, W, b, pool), expected, atol=1e-5)
    g = RNG.standard_normal(expected.shape, np.float32)
    found, wanted = (
        jax.grad(lambda x, layer=layer: jnp.vdot(g, layer(x, W, b, pool)))(x)
        for layer in (pooled_conv, plainly)
    )
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_only_networks_that_begin_so_with_few_channels_have_it():
    assert begins_pooled(convnet(3, prepend=False), 3)
    assert not begins_pooled(convnet(3, prepend=False), 32)
    assert not begins_pooled(convnet(3, prepend=True), 3)
    assert not begins_pooled(fc(2), 3)
