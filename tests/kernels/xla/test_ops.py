"""The maps of the recursion and their closed-form adjoints, each against a plain definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stillhouse.kernels.xla.ops import Variances, box, pool_displacements, relu, with_roots

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("width", [1, 3, 5])
def test_box_sums_windows_and_is_its_own_adjoint(x64, width):
    x, y = RNG.normal(size=(2, 7, 3)), RNG.normal(size=(2, 7, 3))
    expected = np.stack([np.convolve(row, np.ones(width), "same") for row in x[:, :, 0]])
    np.testing.assert_allclose(box(x, width, 1)[:, :, 0], expected, atol=1e-12)
    value, backward = jax.vjp(lambda z: box(z, width, 1), x)
    np.testing.assert_allclose(np.sum(value * y), np.sum(x * backward(jnp.asarray(y))[0]))


def _relu_by_sampling(n, p, q, samples=2_000_000):
    """E[relu(u) relu(v)] and E[relu'(u) relu'(v)] of Gaussians, by Monte Carlo."""
    rng = np.random.default_rng(1)
    u = rng.normal(size=samples)
    v = n / p * u * np.sqrt(p) + np.sqrt(q - n * n / p) * rng.normal(size=samples)
    u = u * np.sqrt(p)
    return np.mean(np.maximum(u, 0) * np.maximum(v, 0)), np.mean((u > 0) & (v > 0))


def test_relu_is_the_expectation_it_stands_for():
    p, q, n = 1.3, 0.7, -0.4
    shape = (1, 1, 1)
    arrays = [jnp.full(shape, z, jnp.float32) for z in (n, 1.0, p, q)]
    found = relu(arrays[0], arrays[1], with_roots(arrays[2]), with_roots(arrays[3]), None)
    np.testing.assert_allclose(np.ravel(found), _relu_by_sampling(n, p, q), atol=1.5e-3)


def test_the_angle_of_float32_is_as_good_as_float64(x64):
    cosine = np.concatenate([np.linspace(-1, 1, 4001), [1 - 1e-6, -1 + 1e-6]])[None, None]
    one = np.ones_like(cosine)

    def both(dtype):
        v = with_roots(jnp.asarray(one, dtype))
        return relu(jnp.asarray(cosine, dtype), jnp.asarray(one, dtype), v, v, None)

    single, double = both(np.float32), both(np.float64)
    np.testing.assert_allclose(single[0], double[0], atol=2e-7)
    # Near c = 1 the angle moves as the root of what float32 rounds off.
    np.testing.assert_allclose(single[1], double[1], atol=1e-4)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("apart", [0.0, 0.5])  # the variances, in parts of 1 - c
def test_no_digit_of_the_angle_is_lost_near_equal_and_opposite_patches(x64, sign, apart):
    gap = np.geomspace(1e-5, 1e-2, 500)
    v = RNG.uniform(1, 2, size=500).astype(np.float32)
    other = (v * (1 - apart * gap)).astype(np.float32)
    n = (sign * v * (1 - gap)).astype(np.float32)

    def both(dtype):
        given = (jnp.asarray(z, dtype)[None, None] for z in (n, np.ones_like(n), v, other))

        def scalar(n, t, p, q):
            n_out, t_out = relu(n, t, with_roots(p), with_roots(q), None)
            return jnp.sum(n_out + t_out)

        return jax.grad(scalar, argnums=(0, 1, 2, 3))(*given)

    for single, double in zip(both(np.float32), both(np.float64), strict=True):
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, double, rtol=3e-6, atol=2e-7)


def test_relu_adjoint_against_finite_differences(x64):
    n = RNG.uniform(-0.5, 0.5, size=(3, 4, 2))
    t, cot_n, cot_t = (RNG.normal(size=n.shape) for _ in range(3))
    p, q = RNG.uniform(1, 2, size=(1, 4, 1)), RNG.uniform(1, 2, size=(3, 4, 2))

    def scalar(n, t, p, q):
        n_out, t_out = relu(n, t, with_roots(p), with_roots(q), None)
        return jnp.sum(cot_n * n_out + cot_t * t_out)

    gradients = jax.grad(scalar, argnums=(0, 1, 2, 3))(n, t, p, q)
    for i, gradient in enumerate(gradients):
        v = RNG.normal(size=gradient.shape)

        def along(e, i=i, v=v):
            arguments = [n, t, p, q]
            arguments[i] = arguments[i] + e * v
            return float(scalar(*arguments))

        expected = (along(1e-6) - along(-1e-6)) / 2e-6
        np.testing.assert_allclose(np.sum(gradient * v), expected, rtol=1e-7)


def test_dead_pixels_give_zero_and_the_mean_of_both_slopes():
    zero, one = jnp.zeros((1, 2, 2)), jnp.ones((1, 2, 2))

    def scalar(n, t, p):
        n_out, t_out = relu(n, t, with_roots(p), with_roots(one), None)
        return jnp.sum(n_out + t_out)

    value, gradients = jax.value_and_grad(scalar, argnums=(0, 1, 2))(zero, zero, zero)
    assert value == 0
    np.testing.assert_allclose(gradients, [one / 4, one / 4, zero], rtol=1e-6)


def test_beyond_the_image_nothing_comes_through():
    one, inside = jnp.ones((1, 2, 2)), jnp.array([[[1.0, 0.0], [1.0, 0.0]]])
    v = with_roots(one)
    outside = Variances(*(z * inside for z in v))  # as padding leaves them

    def scalar(n, t):
        n_out, t_out = relu(n, t, v, outside, None)
        return jnp.sum(n_out + t_out)

    value, (g_n, g_t) = jax.value_and_grad(scalar, argnums=(0, 1))(one / 2, one)
    assert value > 0
    np.testing.assert_array_equal(g_n[0, :, 1], 0)
    np.testing.assert_array_equal(g_t[0, :, 1], 0)


@pytest.mark.parametrize("sign", [1, -1])
def test_equal_and_opposite_patches_lose_their_singular_terms(sign):
    v = jnp.asarray(RNG.uniform(1, 2, size=(1, 3, 3)), jnp.float32)
    t = jnp.ones_like(v)

    def scalar(n, t, p):
        n_out, t_out = relu(n, t, with_roots(p), with_roots(v), None)
        return jnp.sum(n_out) + 3 * jnp.sum(t_out)

    for rounding in (0, 1e-7, -1e-7):
        n = sign * v * (1 + rounding)
        g_n, g_t, g_p = jax.grad(scalar, argnums=(0, 1, 2))(n, t, v)
        k0 = 0.5 if sign == 1 else 0.0
        np.testing.assert_allclose(g_n, k0, atol=1e-7)
        np.testing.assert_allclose(g_t, 3 * k0, atol=1e-7)
        np.testing.assert_array_equal(g_p, 0)


def test_where_a_pixel_meets_itself_both_kernels_halve():
    v = jnp.asarray(RNG.uniform(1, 2, size=(1, 3, 3)), jnp.float32)
    t = jnp.asarray(RNG.normal(size=(1, 3, 3)), jnp.float32)
    n_out, t_out = relu(v, t, with_roots(v), with_roots(v), jnp.array(True))
    np.testing.assert_allclose(n_out, v / 2, rtol=1e-6)
    np.testing.assert_allclose(t_out, t / 2, rtol=1e-6)


@pytest.mark.parametrize(("k", "n"), [(2, 8), (2, 7), (3, 9), (3, 4)])
def test_pooling_displacements_is_pooling_both_images(k, n):
    whole = RNG.normal(size=(n, n))  # every pixel of one row with every pixel of another
    cells = n // k
    cropped = whole[: k * cells, : k * cells]
    expected = cropped.reshape(cells, k, cells, k).mean((1, 3))
    band = np.zeros((2 * n - 1, n))  # [d, p], and nothing that the pool drops
    for p in range(k * cells):
        for q in range(k * cells):
            band[q - p + n - 1, p] = whole[p, q]
    parts = tuple(jnp.asarray(band[:, a : k * cells : k]) for a in range(k))
    found = pool_displacements(parts, 0, n - 1, cells - 1)
    for p in range(cells):
        for q in range(cells):
            np.testing.assert_allclose(found[q - p + cells - 1, p], expected[p, q], atol=1e-6)


def test_roots_are_constants_to_differentiation():
    def through_roots(v):
        roots = with_roots(v)
        return jnp.sum(roots.inverse_root)

    assert np.all(jax.grad(through_roots)(jnp.ones(3)) == 0)
    assert isinstance(with_roots(jnp.ones(3)), Variances)
