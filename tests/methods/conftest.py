"""An independent kernel computer for the tests of methods: NumPy, float64, one formula."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from stillhouse.kernels.architecture import fc
from stillhouse.kernels.spec import KernelSpec

_W2, _B2 = 2.0, 0.01


def _flat(x):
    return np.asarray(x, np.float64).reshape(len(x), -1)


def _theta(k, p, q):
    """The NTK of one hidden ReLU layer from the first layer's covariance and variances."""
    root = np.sqrt(p * q)
    angle = np.arccos(np.clip(k / root, -1, 1))
    n = root * (np.sin(angle) + (np.pi - angle) * k / root) / (2 * np.pi)
    return _W2 * (n + k * (np.pi - angle) / (2 * np.pi)) + _B2


def _slopes(k, p, q):
    """Its derivatives by k, p and q, where k^2 < p q."""
    root = np.sqrt(p * q)
    c = k / root
    s = np.sqrt(1 - c**2)
    k0 = (np.pi - np.arccos(c)) / (2 * np.pi)
    by_k = 2 * k0 + c / (2 * np.pi * s)
    by_p = (s * root - k * c / s) / (4 * np.pi * p)
    by_q = (s * root - k * c / s) / (4 * np.pi * q)
    return _W2 * by_k, _W2 * by_p, _W2 * by_q


class NumpyComputer:
    """The NTK of fc(1), whatever the spec asked for; records which specs that were."""

    def __init__(self):
        self.elements = 0
        self.specs = []

    def gram(self, spec, x):
        return self.cross(spec, x, x)

    def cross(self, spec, x, x_s):
        a, b = _flat(x), _flat(x_s)
        d = a.shape[1]
        p = _W2 * np.sum(a * a, 1) / d + _B2
        q = _W2 * np.sum(b * b, 1) / d + _B2
        return _theta(_W2 * a @ b.T / d + _B2, p[:, None], q[None]).astype(np.float32)

    def forward(self, spec, x_s, x_t):
        self.specs.append(spec)
        return self.gram(spec, x_s), self.cross(spec, x_t, x_s)

    def backward(self, spec, x_s, x_t, g_ss, g_ts):
        a, t = _flat(x_s), _flat(x_t)
        d = a.shape[1]
        p = _W2 * np.sum(a * a, 1) / d + _B2
        v = _W2 * np.sum(t * t, 1) / d + _B2
        by_k, _, by_q = _slopes(_W2 * t @ a.T / d + _B2, v[:, None], p[None])
        gradient = (g_ts * by_k).T @ t * _W2 / d
        by_variance = np.sum(g_ts * by_q, axis=0)
        # An image with itself: theta = W2 p + B2, k and both variances being one number.
        off = ~np.eye(len(a), dtype=bool)
        k = np.where(off, _W2 * a @ a.T / d + _B2, 0)
        by_k, by_p, by_q = (np.where(off, s, 0) for s in _slopes(k, p[:, None], p[None]))
        weighted = g_ss * by_k
        gradient += (weighted + weighted.T) @ a * _W2 / d
        by_variance += np.sum(g_ss * by_p, axis=1) + np.sum(g_ss * by_q, axis=0)
        by_variance += _W2 * np.diag(g_ss)
        gradient += 2 * _W2 / d * by_variance[:, None] * a
        return gradient.reshape(x_s.shape).astype(np.float32)


@pytest.fixture
def computer():
    return NumpyComputer()


@pytest.fixture
def spec():
    return KernelSpec(fc(1))


@pytest.fixture(scope="session")
def digits():
    """Standardised digits: (x_train, y_train), (x_test, y_test), labels as integers."""
    images, labels = load_digits(return_X_y=True)
    x = images.reshape(-1, 8, 8, 1)
    x = ((x - x.mean()) / x.std()).astype(np.float32)
    return (x[:1400], labels[:1400]), (x[1400:], labels[1400:])
