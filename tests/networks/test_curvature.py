import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stillhouse.networks import NetworkSpec, build_network
from stillhouse.networks.curvature import (
    LossSurface,
    largest_eigenvalue,
    solve_damped,
    trace_samples,
)

SPEC = NetworkSpec("mlp", width=4, depth=1, activation="swish")
SHAPE = (2, 2, 1)


RNG = np.random.default_rng(0)
WEIGHTS = RNG.standard_normal(35)
X, Y = RNG.standard_normal((10, *SHAPE)), np.eye(3)[np.arange(10) % 3]


def loss(theta):
    """The loss of each image, written out."""
    hidden = X.reshape(10, 4) @ theta[:16].reshape(4, 4).T + theta[16:20]
    hidden = hidden * jax.nn.sigmoid(hidden)
    outputs = hidden @ theta[20:32].reshape(3, 4).T + theta[32:35]
    return -(Y * jax.nn.log_softmax(outputs)).sum(axis=1)


@functools.lru_cache
def derivatives():
    """The losses, the gradient of their mean, and the whole Hessian by reverse over reverse."""

    def mean(theta):
        return loss(theta).mean()

    compiled = jax.jit(lambda t: (loss(t), jax.grad(mean)(t), jax.jacrev(jax.jacrev(mean))(t)))
    return [np.asarray(part) for part in compiled(jnp.asarray(WEIGHTS))]


@pytest.fixture
def hessian(x64):
    return derivatives()[2]


@pytest.fixture
def surface(x64):
    return LossSurface(SPEC, WEIGHTS, X, Y)


def test_products_are_those_of_the_whole_hessian(hessian):
    surface = LossSurface(SPEC, WEIGHTS, X, Y, batch=6)  # Batches of 6 and 4.
    assert surface.size == len(WEIGHTS) == 35
    products = np.stack([surface.product(v) for v in np.eye(35)])
    np.testing.assert_allclose(products, hessian, rtol=1e-9, atol=1e-12)
    losses, gradient, _ = derivatives()
    np.testing.assert_allclose(surface.gradient(), gradient, rtol=1e-9)
    assert surface.value() == pytest.approx(losses.mean(), rel=1e-12)
    v = np.random.default_rng(1).standard_normal(35)
    near = [np.asarray(loss(WEIGHTS + step * v)) for step in (1e-5, -1e-5)]
    np.testing.assert_allclose(surface.slopes(v), (near[0] - near[1]) / 2e-5, rtol=1e-6)


def test_the_trace_is_found_within_its_standard_error(surface, hessian):
    found = trace_samples(surface.product, 35, 200, seed=3)
    error = found.std(ddof=1) / np.sqrt(len(found))
    assert abs(found.mean() - np.trace(hessian)) < 3 * error
    # As exact as theory has it: the variance of a probe is twice the squares off the diagonal.
    off = hessian - np.diag(np.diag(hessian))
    assert found.std(ddof=1) == pytest.approx(np.sqrt(2 * np.sum(off**2)), rel=0.2)
    again = trace_samples(surface.product, 35, 5, seed=3)
    np.testing.assert_array_equal(again, found[:5])
    assert not np.array_equal(trace_samples(surface.product, 35, 5, seed=4), again)


def test_the_largest_eigenvalue_is_found(surface, hessian):
    largest = np.linalg.eigvalsh(hessian)[-1]
    assert largest_eigenvalue(surface.product, 35) == pytest.approx(largest, rel=1e-3)


def test_damped_systems_are_solved_and_a_matrix_that_is_not_positive_gets_more_damping():
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.standard_normal((20, 20)))
    b = rng.standard_normal(20)
    positive = turn @ np.diag(np.linspace(0.1, 3, 20)) @ turn.T
    found = solve_damped(positive.__matmul__, b, damping=0.05, tolerance=1e-10)
    expected = np.linalg.solve(positive + 0.05 * np.eye(20), b)
    np.testing.assert_allclose(found.x, expected, rtol=1e-7)
    assert found.damping == 0.05 and found.residual <= 1e-10 and found.iterations <= 30
    bent = positive - turn @ np.diag([0.4] + [0.0] * 19) @ turn.T  # Its smallest is -0.3.
    found = solve_damped(bent.__matmul__, b, damping=0.05, tolerance=1e-10)
    assert found.damping == 0.5
    np.testing.assert_allclose(found.x, np.linalg.solve(bent + 0.5 * np.eye(20), b), rtol=1e-7)
    with pytest.raises(FloatingPointError, match="not positive even with a damping of 50000"):
        solve_damped((-1e6 * np.eye(20)).__matmul__, b, damping=0.05)
    with pytest.raises(ValueError, match="`damping` must be positive"):
        solve_damped(positive.__matmul__, b, damping=0)


def test_averages_of_batch_norm_are_no_parameters():
    spec = NetworkSpec(width=4, depth=1, norm="batch")
    network = build_network(spec, (8, 8, 1), 3)
    x, y = np.zeros((2, 8, 8, 1), np.float32), np.eye(3, dtype=np.float32)[:2]
    surface = LossSurface(spec, network.pack(*network.init(0)), x, y)
    assert surface.size == network.num_parameters == network.size - 4 * 4


def test_weights_of_another_network_are_refused():
    x = np.zeros((2, *SHAPE), np.float32)
    with pytest.raises(ValueError, match=r"the weights of this network are \[35\]"):
        LossSurface(SPEC, np.zeros(34, np.float32), x, np.eye(3, dtype=np.float32)[:2])
