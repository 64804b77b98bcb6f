import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stillhouse.data.siamese import SiameseAugmentation
from stillhouse.networks import NetworkSpec
from stillhouse.networks.feature_matching import feature_matching
from stillhouse.networks.siamese import augmented_by

TINY = NetworkSpec("convnet", width=3, depth=1, norm="instance", prepend=False)
RNG = np.random.default_rng(1)
SYNTHETIC = RNG.standard_normal((2, 4, 4, 2)).astype(np.float32)
REAL = RNG.standard_normal((5, 4, 4, 2)).astype(np.float32)


def test_it_is_the_squared_distance_of_mean_features():
    network, match = feature_matching(TINY, (4, 4, 2), 3, False)
    params, state = network.init(0)
    means = [
        np.asarray(network.features(params, state, x, training=True)[0]).mean(axis=0)
        for x in (SYNTHETIC, REAL)
    ]
    distance, _ = match(params, state, 0, SYNTHETIC, REAL)
    assert float(distance) == pytest.approx(np.sum((means[0] - means[1]) ** 2), rel=1e-4)


def test_both_sets_are_changed_alike():
    network, plain = feature_matching(TINY, (4, 4, 2), 3, False)
    _, match = feature_matching(TINY, (4, 4, 2), 3, True)
    params, state = network.init(0)
    draw = SiameseAugmentation(("rotate",)).draw(3)
    changed = (np.asarray(augmented_by(x, draw)) for x in (SYNTHETIC, REAL))
    expected, _ = plain(params, state, 0, *changed)
    distance, _ = match(params, state, 0, SYNTHETIC, REAL, draw.kind, draw.numbers)
    assert float(distance) == pytest.approx(float(expected), rel=1e-4)


def test_its_gradient_is_that_of_finite_differences_in_float64(x64):
    network, match = feature_matching(TINY, (4, 4, 2), 3, True)
    params, state = network.init(0)
    params = jax.tree_util.tree_map(lambda x: jnp.asarray(x, jnp.float64), params)
    draw = SiameseAugmentation(("color",)).draw(3)
    x_s, x_t, v = (
        x.astype(np.float64) for x in (SYNTHETIC, REAL, RNG.standard_normal(SYNTHETIC.shape))
    )

    def distance(x):
        return float(match(params, state, 0, x, x_t, draw.kind, draw.numbers)[0])

    _, gradient = match(params, state, 0, x_s, x_t, draw.kind, draw.numbers)
    assert gradient.dtype == np.float64
    slope = (distance(x_s + 1e-6 * v) - distance(x_s - 1e-6 * v)) / 2e-6
    assert np.sum(np.asarray(gradient) * v) == pytest.approx(slope, rel=1e-6)
