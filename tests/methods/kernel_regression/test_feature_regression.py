import jax
import numpy as np
import pytest

from stillhouse.methods.kernel_regression import feature_regression
from stillhouse.methods.kernel_regression.feature_regression import (
    feature_programs,
    regress_on_features,
)
from stillhouse.networks import NetworkSpec

# Smooth, so that finite differences are good to many digits.
SPECS = {
    "mlp": NetworkSpec("mlp", width=8, depth=1, activation="swish"),
    "convnet": NetworkSpec(
        "convnet", width=4, depth=1, prepend=False, norm="instance", activation="sigmoid"
    ),
}
RNG = np.random.default_rng(0)
LABELS = np.eye(3, dtype=np.float32)[np.arange(14) % 3] - np.float32(1 / 3)
IMAGES = RNG.standard_normal((14, 4, 4, 1)).astype(np.float32)
SET, TARGETS = (IMAGES[:5], LABELS[:5]), (IMAGES[5:], LABELS[5:])


@pytest.fixture(params=SPECS)
def programs(request):
    return feature_programs(SPECS[request.param], (4, 4, 1), 3)


def loss(programs, seed, images, labels, ridge, mirror):
    """The loss in float64 throughout, by NumPy but for the features."""
    home = jax if hasattr(jax, "enable_x64") else jax.experimental
    params, state = programs.network.init(seed)
    with home.enable_x64(True):
        wide = jax.tree_util.tree_map(lambda w: np.asarray(w, np.float64), params)

        def features(x):
            found, _ = programs.network.features(wide, state, x, training=False)
            assert found.dtype == np.float64
            return np.asarray(found)

        if mirror:
            images = np.concatenate([images, np.flip(images, axis=2)])
            labels = np.concatenate([labels, labels])
        phi_s, phi_t = features(np.float64(images)), features(np.float64(TARGETS[0]))
    K = phi_s @ phi_s.T
    K += ridge * np.trace(K) / len(K) * np.eye(len(K))
    return np.mean((phi_t @ phi_s.T @ np.linalg.inv(K) @ labels - TARGETS[1]) ** 2) / 2


@pytest.mark.parametrize("mirror", [False, True])
def test_its_derivatives_are_those_of_finite_differences(programs, mirror):
    found = regress_on_features(
        *(programs, *programs.network.init(3), *SET, *TARGETS), regularisation=1e-2, mirror=mirror
    )
    assert found.loss == pytest.approx(loss(programs, 3, *SET, 1e-2, mirror), rel=1e-4)
    for which, gradient in enumerate((found.images, found.labels)):
        along = np.random.default_rng(which).standard_normal(gradient.shape)
        values = []
        for step in (1e-5, -1e-5):
            moved = [np.float64(array) for array in SET]
            moved[which] += step * along
            values.append(loss(programs, 3, *moved, 1e-2, mirror))
        slope = (values[0] - values[1]) / 2e-5
        assert np.sum(gradient * along) == pytest.approx(slope, rel=2e-3, abs=1e-6)


def test_chunks_change_nothing_but_rounding(programs, monkeypatch):
    whole = regress_on_features(
        *(programs, *programs.network.init(3), *SET, *TARGETS), regularisation=1e-2
    )
    monkeypatch.setattr(feature_regression, "_CHUNK", 4)  # Chunks of 4 and 1, of 4, 4 and 1.
    parts = regress_on_features(
        *(programs, *programs.network.init(3), *SET, *TARGETS), regularisation=1e-2
    )
    assert parts.loss == pytest.approx(whole.loss, rel=1e-5)
    np.testing.assert_allclose(parts.images, whole.images, atol=1e-6)
    np.testing.assert_allclose(parts.labels, whole.labels, atol=1e-6)


def test_it_is_exact_where_there_are_targets_of_the_set(programs):
    found = regress_on_features(
        *(programs, *programs.network.init(3), *SET, *SET), regularisation=1e-6
    )
    assert found.loss < 1e-7 and found.accuracy == 1
