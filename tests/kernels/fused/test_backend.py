"""The fused backend against the whole recursion in NumPy, finite differences, and at its edges."""

import numpy as np
import pytest

from stillhouse.kernels import (
    Architecture,
    AvgPool,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    KernelSpec,
    Relu,
    conv,
    convnet,
    fc,
    kernel,
    myrtle,
)
from stillhouse.kernels.fused import FusedKernel, unsupported_reason

POOLS_EVERYWHERE = Architecture(
    (
        *(AvgPool((2, 1)), Conv(), Relu(), AvgPool(), AvgPool((1, 2)), GlobalAvgPool()),
        *(Dense(), Relu(), Dense()),
    )
)
ARCHITECTURES = {
    "fc1": (fc(1), (4, 5, 2)),
    "fc3": (fc(3), (4, 5, 2)),
    "conv1": (conv(1), (5, 6, 1)),
    "conv3": (conv(3), (5, 6, 2)),
    "conv2, global pool": (conv(2, global_pool=True), (4, 5, 1)),
    "convnet": (convnet(3), (8, 8, 3)),
    "convnet, odd": (convnet(2), (7, 9, 2)),
    "convnet3": (convnet(prepend=False), (9, 8, 1)),
    "convnet, global pool": (convnet(2, global_pool=True), (9, 6, 1)),
    "convnet, no bias": (convnet(2, b_std=0.0), (5, 6, 1)),
    "convnet, 5x3 and 3x2": (convnet(2, window=(5, 3), pool=(3, 2)), (11, 9, 2)),
    "myrtle5": (myrtle(5), (8, 8, 1)),
    "myrtle7": (myrtle(7), (5, 7, 1)),
    "myrtle10": (myrtle(10), (6, 5, 2)),
    "pools everywhere": (POOLS_EVERYWHERE, (9, 8, 1)),
    "only a pool": (Architecture((GlobalAvgPool(), Dense(), Relu(), Dense())), (4, 3, 2)),
    "only a linear convolution": (Architecture((Conv(), Flatten(), Dense())), (3, 4, 1)),
}


def images(n, shape, seed=0):
    return np.random.default_rng(seed).standard_normal((n, *shape)).astype(np.float32)


def relative_error(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def case(name, odd_architecture):
    return {**ARCHITECTURES, "odd": (odd_architecture, (9, 10, 2))}[name]


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
@pytest.mark.parametrize("name", [*ARCHITECTURES, "odd"])
def test_every_network_agrees_with_the_whole_recursion(brute_force, odd_architecture, name, kind):
    architecture, shape = case(name, odd_architecture)
    spec = KernelSpec(architecture, kind)
    x1, x2 = images(3, shape), images(2, shape, seed=1)
    found = FusedKernel(spec)
    assert relative_error(found.block(x1, x2), brute_force(spec, x1, x2)) < 2e-6
    gram = found.gram(x1)
    assert relative_error(gram, brute_force(spec, x1, x1)) < 2e-6
    np.testing.assert_array_equal(gram, gram.T)


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
@pytest.mark.parametrize("name", [*ARCHITECTURES, "odd"])
def test_every_gradient_agrees_with_finite_differences(
    brute_force, directional_derivative, odd_architecture, name, kind
):
    architecture, shape = case(name, odd_architecture)
    spec = KernelSpec(architecture, kind)
    x1, x2 = images(2, shape), images(2, shape, seed=1)
    cotangent, v = images(2, (2,), seed=2), images(2, shape, seed=3).astype(np.float64)
    found = FusedKernel(spec)
    first, second = found.vjp(x1, x2, cotangent)
    for gradient, x, value in [
        (first, x1, lambda x: np.sum(cotangent * brute_force(spec, x, x2))),
        (second, x2, lambda x: np.sum(cotangent * brute_force(spec, x1, x))),
        (found.gram_vjp(x1, cotangent), x1, lambda x: np.sum(cotangent * brute_force(spec, x, x))),
    ]:
        expected = directional_derivative(value, x.astype(np.float64), v)
        size = np.linalg.norm(gradient) * np.linalg.norm(v)
        assert abs(np.sum(gradient * v) - expected) < 3e-6 * size


@pytest.fixture(scope="module")
def oracle_errors():
    """Return a function: how far block and vjp are from float64 neural_tangents, for two images."""
    pytest.importorskip("neural_tangents", reason="neural_tangents is not installed on this stack")
    spec = KernelSpec(convnet(3))
    found, oracle = FusedKernel(spec), kernel(spec, backend="neural_tangents")
    cotangent = np.array([[1.0]])

    def errors(x1, x2):
        exact = x1.astype(np.float64), x2.astype(np.float64)
        pairs = zip(found.vjp(x1, x2, cotangent), oracle.vjp(*exact, cotangent), strict=True)
        block = relative_error(found.block(x1, x2), oracle.block(*exact))
        return block, max(relative_error(mine, theirs) for mine, theirs in pairs)

    return errors


def test_noise_is_right_to_float32_rounding(x64, oracle_errors):
    of_block, of_vjp = oracle_errors(images(1, (16, 16, 3)), images(1, (16, 16, 3), seed=1))
    assert of_block < 1e-6
    assert of_vjp < 2e-6


def test_near_duplicates_keep_most_digits(x64, oracle_errors):
    x = images(1, (16, 16, 3))
    of_block, of_vjp = oracle_errors(x, x + 0.02 * images(1, (16, 16, 3), seed=1))
    assert of_block < 1e-6
    assert of_vjp < 5e-5


def test_an_image_that_meets_its_equal_has_half_the_gradient_of_the_diagonal():
    found = FusedKernel(KernelSpec(convnet(2)))
    x = images(2, (8, 9, 2))
    cotangent = np.diag([1.0, -2.0])
    expected = found.gram_vjp(x, cotangent) / 2
    for gradient in found.vjp(x, x.copy(), cotangent):
        assert relative_error(gradient, expected) < 5e-5


@pytest.mark.parametrize("sizes", [(2, 40), (40, 2), (20, 17), (1, 1)])
def test_any_block_is_that_of_its_pairs_whichever_side_is_larger(sizes):
    found = FusedKernel(KernelSpec(convnet(2)))
    x1, x2 = images(sizes[0], (4, 4, 1)), images(sizes[1], (4, 4, 1), seed=1)
    block = found.block(x1, x2)
    assert block.shape == sizes
    for i, j in [(0, 0), (-1, -1), (0, -1)]:
        np.testing.assert_allclose(block[i, j], found.block(x1[[i]], x2[[j]])[0, 0], rtol=1e-6)


@pytest.mark.parametrize("architecture", [convnet(2), fc(2), POOLS_EVERYWHERE])
def test_panels_only_bound_the_memory(monkeypatch, architecture):
    spec = KernelSpec(architecture)
    x1, x2, cotangent = images(35, (4, 4, 1)), images(50, (4, 4, 1), seed=1), images(35, (50,))
    square = images(35, (35,))
    whole = FusedKernel(spec)
    monkeypatch.setattr("stillhouse.kernels.fused.convolutional._MAX_PANEL", 16)
    monkeypatch.setattr("stillhouse.kernels.fused.flat._MAX_PANEL", 16)
    cut = FusedKernel(spec)
    np.testing.assert_allclose(cut.block(x1, x2), whole.block(x1, x2), rtol=1e-6)
    np.testing.assert_allclose(cut.gram(x1), whole.gram(x1), rtol=1e-6)
    for mine, theirs in [
        *zip(cut.vjp(x1, x2, cotangent), whole.vjp(x1, x2, cotangent), strict=True),
        (cut.gram_vjp(x1, square), whole.gram_vjp(x1, square)),
    ]:
        assert relative_error(mine, theirs) < 2e-6


@pytest.mark.parametrize("threads", [2, 5])
def test_the_number_of_threads_changes_no_bit(threads):
    spec = KernelSpec(convnet(2))
    x1, x2, cotangent = images(21, (6, 6, 1)), images(70, (6, 6, 1), seed=1), images(21, (70,))
    one, more = FusedKernel(spec, threads=1), FusedKernel(spec, threads=threads)
    np.testing.assert_array_equal(one.block(x1, x2), more.block(x1, x2))
    np.testing.assert_array_equal(one.gram(x2), more.gram(x2))
    for mine, theirs in zip(one.vjp(x1, x2, cotangent), more.vjp(x1, x2, cotangent), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    square = images(21, (21,))
    np.testing.assert_array_equal(one.gram_vjp(x1, square), more.gram_vjp(x1, square))


def test_one_side_alone_gets_the_same_gradient():
    found = FusedKernel(KernelSpec(convnet(2)))
    x1, x2, cotangent = images(9, (6, 5, 2)), images(18, (6, 5, 2), seed=1), images(9, (18,))
    both = found.vjp(x1, x2, cotangent)
    for side in (0, 1):
        (alone,) = found.vjp(x1, x2, cotangent, wrt=(side,))
        np.testing.assert_allclose(alone, both[side], rtol=1e-4, atol=1e-6)
    second, first = found.vjp(x1, x2, cotangent, wrt=(1, 0))
    np.testing.assert_array_equal(first, both[0])
    np.testing.assert_array_equal(second, both[1])


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
@pytest.mark.parametrize("b_std", [0.0, 0.1])
def test_blank_constant_and_repeated_images_give_the_right_numbers(
    brute_force, directional_derivative, b_std, kind
):
    spec = KernelSpec(convnet(2, b_std=b_std), kind)
    x = images(5, (7, 6, 1))
    x[0] = 0.0
    x[1] = 1.0
    x[2, :4] = 0.0
    x[4] = x[3]
    found = FusedKernel(spec)
    expected = brute_force(spec, x, x)
    np.testing.assert_allclose(found.gram(x), expected, rtol=5e-5, atol=1e-7)
    np.testing.assert_allclose(found.block(x, x), expected, rtol=5e-5, atol=1e-7)
    for gradient in (found.gram_vjp(x, np.ones((5, 5))), *found.vjp(x, x, np.ones((5, 5)))):
        assert np.isfinite(gradient).all()
    # The image with blank rows, along directions that keep them blank: there the kernel is smooth.
    v = images(1, (7, 6, 1), seed=3).astype(np.float64)
    v[0, :4] = 0.0
    (gradient,) = found.vjp(x[2:3], x[3:4], np.ones((1, 1)), wrt=(0,))
    slope = directional_derivative(
        lambda a: brute_force(spec, a, x[3:4])[0, 0], x[2:3].astype(np.float64), v
    )
    np.testing.assert_allclose(np.sum(gradient * v), slope, rtol=1e-5)


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
def test_blank_pixels_without_bias_have_the_mean_of_both_slopes(
    brute_force, directional_derivative, kind
):
    """The kernel has a kink where a pixel's variance is 0; a central difference takes the mean."""
    spec = KernelSpec(conv(1, b_std=0.0), kind)
    x1, x2 = np.zeros((1, 3, 3, 1)), images(1, (3, 3, 1)).astype(np.float64)
    v = images(1, (3, 3, 1), seed=1).astype(np.float64)
    (gradient,) = FusedKernel(spec).vjp(x1, x2, np.ones((1, 1)), wrt=(0,))
    slope = directional_derivative(lambda a: brute_force(spec, a, x2)[0, 0], x1, v)
    np.testing.assert_allclose(np.sum(gradient * v), slope, rtol=1e-5)


def test_float64_and_integer_images_are_computed_in_float32():
    found = FusedKernel(KernelSpec(convnet(1)))
    x = np.arange(32, dtype=np.uint8).reshape(2, 4, 4, 1)
    expected = found.block(x.astype(np.float32), x.astype(np.float32))
    assert expected.dtype == np.float32
    np.testing.assert_array_equal(found.block(x, x.astype(np.float64)), expected)
    assert found.gram_vjp(x.astype(np.float64), np.ones((2, 2))).dtype == np.float32


def test_bad_input_is_named():
    found = FusedKernel(KernelSpec(convnet(3)))
    x, wrong = images(2, (8, 8, 1)), images(2, (8, 8, 1))
    wrong[1, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="`x2`.*NaN.*image 1"):
        found.block(x, wrong)
    with pytest.raises(ValueError, match="`x`.*NaN"):
        found.gram(wrong)
    with pytest.raises(ValueError, match="`cotangent`.*NaN"):
        found.vjp(x, x, np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match=r"`cotangent`.*\(2, 2\).*\(3, 2\)"):
        found.gram_vjp(x, np.ones((3, 2)))
    with pytest.raises(ValueError, match="`wrt`"):
        found.vjp(x, x, np.ones((2, 2)), wrt=(2,))
    with pytest.raises(ValueError, match="4 x 8 pixels are too small"):
        found.block(x[:, :4], x[:, :4])
    with pytest.raises(ValueError, match="`threads`.*0"):
        FusedKernel(KernelSpec(convnet(3)), threads=0)


def test_what_leaves_float32_is_an_error_and_not_an_infinity():
    found = FusedKernel(KernelSpec(convnet(1)))
    x = np.full((2, 4, 4, 1), 1e25, np.float32)
    with pytest.raises(FloatingPointError, match="range of float32"):
        found.block(x, x)


def test_an_even_window_is_refused_with_the_backend_that_has_it():
    architecture = Architecture((Conv((2, 3)), Relu(), Flatten(), Dense()))
    assert "(2, 3)" in (unsupported_reason(architecture) or "")
    assert unsupported_reason(convnet()) is None
    with pytest.raises(ValueError, match=r"Conv.*\(2, 3\).*neural_tangents"):
        FusedKernel(KernelSpec(architecture))
