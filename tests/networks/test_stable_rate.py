import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stillhouse.networks import NetworkSpec, build_network
from stillhouse.networks.stable_rate import largest_stable_rate, tangent_kernel_product


def linear(params, x):
    return x @ params


@pytest.fixture
def regression():
    rng = np.random.default_rng(0)
    return rng.standard_normal((7, 4)), rng.standard_normal((7, 3))


def error_after(rate, momentum, x, y, steps=400):
    """The distance from the solution after gradient descent in float64, relative to the start."""
    solution = np.linalg.lstsq(x, y, rcond=None)[0]
    weights, moment = solution + 1.0, 0.0
    for _ in range(steps):
        gradient = x.T @ (x @ weights - y) / y.size  # of 1/2 mean squared error
        moment = momentum * moment + gradient
        weights = weights - rate * moment
    return np.abs(weights - solution).max()


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_gradient_descent_is_stable_below_the_rate_and_not_above(regression, momentum):
    x, y = regression
    product = tangent_kernel_product(linear)
    rate = largest_stable_rate(
        product, y.shape, np.zeros((4, 3), np.float32), x.astype(np.float32), momentum=momentum
    )
    assert error_after(0.95 * rate, momentum, x, y) < 0.1
    assert error_after(1.05 * rate, momentum, x, y) > 100
    largest = np.linalg.eigvalsh(x @ x.T)[-1]
    assert rate == pytest.approx(2 * (1 + momentum) * y.size / largest, rel=2e-3)


def test_of_a_network_it_is_that_of_the_whole_kernel():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((9, 8, 8, 1)).astype(np.float32)
    network = build_network(NetworkSpec(width=4, norm="batch"), (8, 8, 1), 3)
    params, state = network.init(0)

    def outputs(params, state, x):
        return network.apply(params, state, x, training=True)[0]

    jacobian = jax.jit(jax.jacrev(outputs))(params, state, x)
    rows = [leaf.reshape(27, -1) for leaf in jax.tree_util.tree_leaves(jacobian)]
    whole = np.concatenate(rows, axis=1, dtype=np.float64)
    largest = np.linalg.eigvalsh(whole @ whole.T)[-1]
    found = largest_stable_rate(tangent_kernel_product(outputs), (9, 3), params, state, x)
    assert found == pytest.approx(2 * 27 / largest, rel=2e-3)


def test_a_kernel_that_is_not_finite_is_told_of():
    x = np.full((2, 4), 1e30, np.float32)
    with pytest.raises(FloatingPointError, match="tangent kernel"):
        largest_stable_rate(tangent_kernel_product(linear), (2, 3), np.ones((4, 3)), x)


def test_outputs_that_no_parameter_changes_have_no_rate():
    product = tangent_kernel_product(lambda params, x: jnp.zeros((2, 3)) * params)
    with pytest.raises(ValueError, match="do not depend"):
        largest_stable_rate(product, (2, 3), np.float32(1.0), np.zeros((2, 4)))
