import jax
import numpy as np
import pytest

from stillhouse.data.card import DatasetInfo
from stillhouse.data.sources import load_dataset
from stillhouse.data.transforms import fit_transform
from stillhouse.networks import NetworkSpec
from stillhouse.networks.objective import Objective
from stillhouse.networks.pool import PoolInfo
from stillhouse.networks.training import TrainingData
from stillhouse.networks.training_spec import TrainingSpec


@pytest.fixture
def x64():
    """Compute in float64 for the length of a test."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture(scope="session")
def digits():
    dataset = load_dataset("digits")
    transform = fit_transform("standardise", dataset.x_train)
    arrays = (dataset.x_train, dataset.y_train, dataset.x_test, dataset.y_test)
    return TrainingData(*arrays, 10, transform)


@pytest.fixture
def info():
    return PoolInfo(
        NetworkSpec("mlp", width=3, depth=1),
        TrainingSpec(Objective(), batch_size=4, epochs=2, every=3),
        DatasetInfo("spots", "ab" * 32, ("dot", "dash"), (2, 2, 1), (0.0, 1.0)),
        "none",
        (),
        train_images=10,
        seed=7,
    )


@pytest.fixture
def trained(info):
    """Weights, scores and snapshots of a network, all of them random."""

    def make(index):
        rng = np.random.default_rng(index)
        size, along = info.build().size, len(info.snapshot_steps)
        scores = np.array([0.9 + index / 100, 0.95, 0.25])
        weights, snapshots = rng.random(size, np.float32), rng.random((along, size), np.float32)
        return weights, scores, snapshots

    return make
