import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stillhouse.networks.narrow_conv import narrow_conv

X, W = (3, 2, 9, 8), (4, 2, 5, 3)  # Images and windows; neither is a square.


def reference(x, w):
    return jax.lax.conv_general_dilated(x, w, (1, 1), "VALID", precision="highest")


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def assert_same(of, *arrays):
    """Check a function of a convolution: by ours it is what it is by XLA's."""
    for function in (of(narrow_conv), jax.jit(of(narrow_conv))):
        ours, theirs = function(*arrays), of(reference)(*arrays)
        for one, other in zip(*map(jax.tree_util.tree_leaves, (ours, theirs)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * np.abs(other).max())


def loss(conv):
    """Return a function that no derivative of which vanishes."""
    return lambda x, w: jnp.sum(jnp.sin(conv(x, w)))


@pytest.mark.parametrize("inputs", [1, 2, 5])
@pytest.mark.parametrize("window", [(1, 1), (3, 3), (5, 2)])
def test_it_is_the_convolution_of_xla(inputs, window):
    assert_same(lambda conv: conv, normal(3, inputs, 7, 8), normal(4, inputs, *window, seed=1))


@pytest.mark.parametrize("window", [(5, 3), (3, 1)])  # The image is wide beside the second.
def test_derivatives_of_every_order_are_those_of_xla(window):
    windows = (*W[:2], *window)
    x, w, dx, dw = (normal(*shape, seed=i) for i, shape in enumerate((X, windows, X, windows)))

    def gradient(conv):
        return jax.grad(loss(conv), (0, 1))

    def back_through_a_step(conv):
        def along(x, w):
            return jax.jvp(loss(conv), (x, w), (dx, dw))[1]

        return jax.grad(along, (0, 1))

    def through_the_gradient(conv):
        return jax.grad(lambda x, w: sum(map(jnp.vdot, gradient(conv)(x, w), (dx, dw))) ** 2, 0)

    def back_through_that(conv):
        return jax.grad(lambda x, w: jnp.vdot(back_through_a_step(conv)(x, w)[1], dw), (0, 1))

    for of in (gradient, back_through_a_step, through_the_gradient, back_through_that):
        assert_same(of, x, w)


def test_batches_of_images_of_windows_and_of_both_are_mapped():
    x, w = normal(2, *X), normal(2, *W, seed=1)
    for axes in ((0, None), (None, 0), (0, 0)):
        arrays = [a if axis == 0 else a[0] for a, axis in zip((x, w), axes, strict=True)]
        for of in (lambda conv: conv, lambda conv: jax.grad(loss(conv), (0, 1))):
            assert_same(lambda conv, of=of, axes=axes: jax.vmap(of(conv), axes), *arrays)


def test_gradients_of_each_image_are_its_own():
    x, w = normal(*X), normal(*W, seed=1)

    def each(conv):
        one = jax.grad(lambda w, x: loss(conv)(x[None], w))
        return jax.vmap(one, (None, 0))

    assert_same(each, w, x)


def test_it_is_linearised_and_checkpointed():
    x, w = normal(*X), normal(*W, seed=1)

    def linear(conv):
        return lambda x, w: jax.linearize(loss(conv), x, w)[1](x, w)

    assert_same(linear, x, w)
    assert_same(lambda conv: jax.grad(jax.checkpoint(loss(conv)), (0, 1)), x, w)
    assert_same(lambda conv: jax.hessian(lambda w, x: loss(conv)(x, w)), w[:1, :1], x[:1, :1])
