"""The wrapped neural_tangents agrees with the whole recursion written out in NumPy."""

import importlib.util

import numpy as np
import pytest

from stillhouse.kernels import KernelSpec, convnet, fc, kernel, myrtle

# Not by importing it, which brings TensorFlow into every process of tests.
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("neural_tangents") is None,
    reason="neural_tangents is not installed on this stack",
)
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("architecture", [fc(2), convnet(2), myrtle(5)])
@pytest.mark.parametrize("kind", ["ntk", "nngp"])
def test_block_and_vjp_against_brute_force(
    x64, brute_force, directional_derivative, architecture, kind
):
    spec = KernelSpec(architecture, kind)
    x1, x2 = RNG.normal(size=(2, 4, 5, 2)), RNG.normal(size=(3, 4, 5, 2))
    cotangent, v = RNG.normal(size=(2, 3)), RNG.normal(size=x2.shape)
    found = kernel(spec, backend="neural_tangents")
    np.testing.assert_allclose(found.block(x1, x2), brute_force(spec, x1, x2), rtol=1e-12)
    (gradient,) = found.vjp(x1, x2, cotangent, wrt=(1,))
    expected = directional_derivative(
        lambda x: float(np.sum(cotangent * brute_force(spec, x1, x))), x2, v
    )
    np.testing.assert_allclose(np.sum(gradient * v), expected, rtol=1e-6)


def test_sub_blocks_give_the_same_as_one_block():
    neural_tangents = pytest.importorskip("stillhouse.kernels.neural_tangents")
    from neural_tangents import stax

    kernel_fn = stax.serial(stax.Flatten(), stax.Dense(1), stax.Erf(), stax.Dense(1))[2]
    whole = neural_tangents.NeuralTangentsKernel(kernel_fn, pairs=8)
    small = neural_tangents.NeuralTangentsKernel(kernel_fn, pairs=2)
    x1, x2 = (RNG.normal(size=(n, 3, 3, 1)).astype(np.float32) for n in (5, 3))
    cotangent = RNG.normal(size=(5, 3))
    np.testing.assert_allclose(small.block(x1, x2), whole.block(x1, x2), rtol=1e-6)
    np.testing.assert_allclose(whole.block(x1, x2), kernel_fn(x1, x2, "ntk"), rtol=1e-6)
    for mine, theirs in zip(
        small.vjp(x1, x2, cotangent), whole.vjp(x1, x2, cotangent), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-7)


def test_gram_and_its_gradient_take_both_sides():
    found = kernel(KernelSpec(fc(1)), backend="neural_tangents")
    x = RNG.normal(size=(3, 2, 2, 1)).astype(np.float32)
    cotangent = RNG.normal(size=(3, 3)).astype(np.float32)
    np.testing.assert_array_equal(found.gram(x), found.block(x, x))
    first, second = found.vjp(x, x, cotangent)
    np.testing.assert_allclose(found.gram_vjp(x, cotangent), first + second)


def test_float32_stays_float32_where_float64_is_enabled(x64):
    """neural_tangents makes float64 of such images on its way; what comes back follows them."""
    found = kernel(KernelSpec(fc(1)), backend="neural_tangents")
    x1, x2 = RNG.normal(size=(2, 2, 2, 1)), RNG.normal(size=(3, 2, 2, 1))
    cotangent, square = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 2))
    exact = found.block(x1, x2), *found.vjp(x1, x2, cotangent), found.gram_vjp(x1, square)
    x1, x2 = x1.astype(np.float32), x2.astype(np.float32)
    single = found.block(x1, x2), *found.vjp(x1, x2, cotangent), found.gram_vjp(x1, square)
    for mine, theirs in zip(single, exact, strict=True):
        assert mine.dtype == np.float32
        assert theirs.dtype == np.float64
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)
