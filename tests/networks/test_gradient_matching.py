import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stillhouse.data.siamese import SiameseAugmentation
from stillhouse.networks import NetworkSpec
from stillhouse.networks.gradient_matching import gradient_distance, gradient_matching

TINY = NetworkSpec("convnet", width=3, depth=1, norm="instance", prepend=False)
RNG = np.random.default_rng(2)
SYNTHETIC = RNG.standard_normal((2, 4, 4, 2)).astype(np.float32)
REAL = RNG.standard_normal((5, 4, 4, 2)).astype(np.float32)


def test_it_is_one_minus_the_cosine_of_each_output_channel():
    a, b = RNG.standard_normal((2, 4, 6)), RNG.standard_normal((2, 3, 2, 3, 3))
    found = gradient_distance({"w": a[0], "v": b[0]}, {"w": a[1], "v": b[1]})
    expected = 0.0
    for x, y in (a, b.reshape(2, 3, -1)):
        for row, other in zip(x, y, strict=True):
            expected += 1 - row @ other / np.linalg.norm(row) / np.linalg.norm(other)
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_biases_and_what_norms_learn_do_not_count():
    weights = RNG.standard_normal((3, 5)).astype(np.float32)
    one = {"weight": weights, "bias": np.ones(3), "conv_bias": np.ones((3, 1, 1))}
    other = {"weight": weights, "bias": -np.ones(3), "conv_bias": -np.ones((3, 1, 1))}
    assert float(gradient_distance(one, other)) == pytest.approx(0.0, abs=1e-5)


def test_a_channel_that_is_dead_has_a_distance_of_one_and_a_finite_derivative():
    rows = jnp.asarray(RNG.standard_normal((2, 5)), jnp.float32).at[0].set(0.0)
    value, slope = jax.value_and_grad(gradient_distance)([rows], [jnp.ones((2, 5))])
    assert 1 <= float(value) <= 3
    assert np.isfinite(slope[0]).all()


def test_equal_sets_have_a_distance_of_nothing():
    network, match = gradient_matching(TINY, (4, 4, 2), 3, False)
    params, state = network.init(0)
    near, _ = match(params, state, 1, REAL, REAL)
    far, gradient = match(params, state, 1, SYNTHETIC, REAL)
    assert abs(float(near)) < 1e-2 * float(far)
    assert np.isfinite(gradient).all() and np.asarray(gradient).any()


def test_its_gradient_is_that_of_finite_differences_in_float64(x64):
    network, match = gradient_matching(TINY, (4, 4, 2), 3, True)
    params, state = network.init(0)
    params = jax.tree_util.tree_map(lambda x: jnp.asarray(x, jnp.float64), params)
    draw = SiameseAugmentation(("color",)).draw(3)
    x_s, x_t, v = (
        x.astype(np.float64) for x in (SYNTHETIC, REAL, RNG.standard_normal(SYNTHETIC.shape))
    )

    def distance(x):
        return float(match(params, state, 2, x, x_t, draw.kind, draw.numbers)[0])

    _, gradient = match(params, state, 2, x_s, x_t, draw.kind, draw.numbers)
    assert gradient.dtype == np.float64
    slope = (distance(x_s + 1e-6 * v) - distance(x_s - 1e-6 * v)) / 2e-6
    assert np.sum(np.asarray(gradient) * v) == pytest.approx(slope, rel=1e-5)
