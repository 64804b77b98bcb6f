import numpy as np
import pytest

from stillhouse.networks.losses import loss_of

OUTPUTS = np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 0.0]], np.float32)
TARGETS = np.array([[0.0, 1.0, 0.0], [0.5, 0.25, 0.25]], np.float32)


def test_squared_error_is_half_the_mean_over_images_and_outputs():
    expected = 0.5 * np.mean((OUTPUTS - TARGETS) ** 2)
    assert float(loss_of("mse")(OUTPUTS, TARGETS)) == pytest.approx(expected)


def test_cross_entropy_is_the_mean_over_images():
    logs = OUTPUTS - np.log(np.exp(OUTPUTS).sum(axis=1, keepdims=True))
    expected = -np.mean((TARGETS * logs).sum(axis=1))
    assert float(loss_of("xent")(OUTPUTS, TARGETS)) == pytest.approx(expected)
