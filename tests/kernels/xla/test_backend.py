"""The xla backend against the whole recursion, against neural_tangents, and at its edges.

Compilation is what these tests cost. So each spec has one kernel for all of them, and each test the
same numbers of images of the same size: what one has compiled, the others find. Deep ones have as
many images on either side, whose variances are one program then. Images are higher than wide: a
program spells out the displacements of a row, and not the rows.
"""

import functools

import jax
import numpy as np
import pytest

from stillhouse.kernels import Architecture, Conv, KernelSpec, conv, convnet, fc, kernel, myrtle
from stillhouse.kernels.xla import XlaKernel

RNG = np.random.default_rng(0)
ARCHITECTURES = {
    "fc2": (fc(2), (4, 3, 2)),
    "conv3": (conv(3), (5, 4, 2)),
    "convnet": (convnet(2), (7, 5, 3)),  # one block less than the papers', to compile sooner
    "convnet3": (convnet(prepend=False), (9, 8, 1)),
    "myrtle5": (myrtle(5), (5, 4, 1)),
    "myrtle10": (myrtle(10), (4, 4, 1)),
}
UNLIKE = ("fc2", "conv3")  # have 3 images on one side and 2 on the other


@functools.cache
def xla(spec):
    return XlaKernel(spec)


def relative_error(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def images(n, shape, dtype=np.float32):
    return RNG.normal(size=(n, *shape)).astype(dtype)


def sides(name, shape, dtype=np.float32):
    return images(3, shape, dtype), images(2 if name in UNLIKE else 3, shape, dtype)


def cotangents(x1, x2):
    return RNG.normal(size=(len(x1), len(x2))), RNG.normal(size=(len(x1), len(x1)))


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_float32_agrees_with_float64_brute_force(request, brute_force, name, kind):
    if name == "convnet":
        request.getfixturevalue("fully_compiled")
    architecture, shape = ARCHITECTURES[name]
    spec = KernelSpec(architecture, kind)
    x1, x2 = sides(name, shape)
    found = xla(spec)
    assert relative_error(found.block(x1, x2), brute_force(spec, x1, x2)) < 2e-6
    assert found.block(x1, x2).dtype == np.float32
    gram = found.gram(x1)
    np.testing.assert_array_equal(gram, gram.T)
    assert relative_error(gram, brute_force(spec, x1, x1)) < 2e-6


@pytest.mark.parametrize("name", ["fc2", "convnet", "myrtle5"])
def test_gradients_against_finite_differences(x64, brute_force, directional_derivative, name):
    architecture, shape = ARCHITECTURES[name]
    spec = KernelSpec(architecture)
    x1, x2 = sides(name, shape, np.float64)
    cotangent, square = cotangents(x1, x2)
    found = xla(spec)
    first, second = found.vjp(x1, x2, cotangent)
    v1, v2 = RNG.normal(size=x1.shape), RNG.normal(size=x2.shape)
    for gradient, x, v, value in [
        (first, x1, v1, lambda x: np.sum(cotangent * brute_force(spec, x, x2))),
        (second, x2, v2, lambda x: np.sum(cotangent * brute_force(spec, x1, x))),
        (found.gram_vjp(x1, square), x1, v1, lambda x: np.sum(square * brute_force(spec, x, x))),
    ]:
        expected = directional_derivative(value, x, v)
        np.testing.assert_allclose(np.sum(gradient * v), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
@pytest.mark.parametrize("name", ["fc2", "conv3", "convnet", "myrtle5", "odd"])
def test_float64_agrees_with_neural_tangents_to_rounding(x64, odd_architecture, name, kind):
    pytest.importorskip("neural_tangents", reason="neural_tangents is not installed on this stack")
    architecture, shape = {**ARCHITECTURES, "odd": (odd_architecture, (9, 7, 2))}[name]
    spec = KernelSpec(architecture, kind)
    x1, x2 = sides(name, shape, np.float64)
    cotangent, square = cotangents(x1, x2)
    found, oracle = xla(spec), kernel(spec, backend="neural_tangents")
    assert relative_error(found.block(x1, x2), oracle.block(x1, x2)) < 1e-10
    for mine, theirs in zip(
        found.vjp(x1, x2, cotangent), oracle.vjp(x1, x2, cotangent), strict=True
    ):
        assert relative_error(mine, theirs) < 1e-10
    # On the diagonal neural_tangents loses half its digits.
    assert relative_error(found.gram(x1), oracle.gram(x1)) < 1e-8
    assert relative_error(found.gram_vjp(x1, square), oracle.gram_vjp(x1, square)) < 1e-7


def test_float32_gradients_are_right_to_rounding(x64):
    architecture, shape = ARCHITECTURES["convnet"]
    spec = KernelSpec(architecture)
    x1, x2 = sides("convnet", shape, np.float64)
    cotangent, _ = cotangents(x1, x2)
    found = xla(spec)
    single = found.vjp(x1.astype(np.float32), x2.astype(np.float32), cotangent)
    for mine, exact in zip(single, found.vjp(x1, x2, cotangent), strict=True):
        assert mine.dtype == np.float32
        assert relative_error(mine, exact) < 5e-5


def test_results_do_not_depend_on_threads_or_on_what_is_beside():
    spec = KernelSpec(convnet(1))
    x1, x2 = images(20, (4, 4, 1)), images(70, (4, 4, 1))
    cotangent = RNG.normal(size=(20, 70)).astype(np.float32)
    one, two = XlaKernel(spec, threads=1), XlaKernel(spec, threads=2)
    block = one.block(x1, x2)
    np.testing.assert_array_equal(block, two.block(x1, x2))
    np.testing.assert_allclose(block[3:5, 60:], one.block(x1[3:5], x2[60:]), rtol=1e-6)
    np.testing.assert_allclose(block.T, one.block(x2, x1), rtol=1e-6)
    for mine, theirs in zip(one.vjp(x1, x2, cotangent), two.vjp(x1, x2, cotangent), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(
        one.vjp(x1, x2, cotangent, wrt=(1,))[0], two.vjp(x1, x2, cotangent)[1]
    )


@pytest.fixture
def compilations(caplog):
    """Tell how many programs were compiled, by any thread, since it was last asked."""

    def count():
        found = sum("Compiling" in record.getMessage() for record in caplog.records)
        caplog.clear()
        return found

    jax.config.update("jax_log_compiles", True)
    yield count
    jax.config.update("jax_log_compiles", False)


def test_kernels_of_one_spec_compile_once(compilations):
    spec, x = KernelSpec(fc(1, b_std=0.7)), images(3, (2, 2, 1))
    first = XlaKernel(spec).gram(x)
    assert compilations() > 0
    np.testing.assert_array_equal(XlaKernel(spec, threads=1).gram(x), first)
    assert compilations() == 0


@pytest.mark.parametrize("b_std", [0.0, 0.1])
def test_blank_constant_and_repeated_images_stay_finite(b_std):
    found = xla(KernelSpec(convnet(1, b_std=b_std)))
    x = images(5, (5, 4, 1))
    x[0] = 0.0
    x[1] = 1.0
    x[2, :2] = 0.0
    x[4] = x[3]
    for values in (
        found.gram(x),
        found.block(x, x),
        found.gram_vjp(x, np.ones((5, 5))),
        *found.vjp(x, x, np.ones((5, 5))),
    ):
        assert np.isfinite(values).all()


def test_an_even_filter_is_refused_with_the_backend_that_takes_it():
    layers = (Conv((2, 3)), *convnet(1, prepend=False).layers[1:])
    with pytest.raises(ValueError, match=r"Conv \(layer 0\).*\(2, 3\).*neural_tangents"):
        XlaKernel(KernelSpec(Architecture(layers)))


def test_images_too_small_for_the_pools_are_refused():
    with pytest.raises(ValueError, match="too small"):
        XlaKernel(KernelSpec(convnet())).gram(images(2, (4, 4, 1)))
