import numpy as np
import pytest

from stillhouse.networks import NetworkSpec

SPEC = NetworkSpec("mlp", width=4, depth=1, activation="swish")


@pytest.fixture(scope="session")
def spec():
    return SPEC


@pytest.fixture(scope="session")
def arrays():
    """A set of two steps of three images, and targets: float64 but for the rows."""
    rng = np.random.default_rng(0)
    labels = np.eye(3)[np.arange(6) % 3] + 0.1 * rng.random((6, 3))
    return {
        "images": rng.standard_normal((6, 2, 2, 1)),
        "labels": labels,
        "step_sizes": np.array([0.3, 0.2, 0.4, 0.5]),
        "order": np.array([[0, 1, 2], [3, 4, 5]]),
        "targets": (
            rng.standard_normal((7, 2, 2, 1)),
            np.eye(3)[np.arange(7) % 3],
            np.linspace(0.1, 0.3, 7),
        ),
    }
