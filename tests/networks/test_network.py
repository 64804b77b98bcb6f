import jax
import numpy as np
import pytest

from stillhouse.kernels import KernelSpec, convnet, fc, kernel
from stillhouse.networks import build_network


def images(n=3, shape=(4, 4, 2), seed=0):
    return np.random.default_rng(seed).standard_normal((n, *shape), np.float32)


def test_parameters_are_a_pure_function_of_the_seed():
    network = build_network("convnet", (8, 8, 1), 3, width=6)
    first, again, other = (jax.tree_util.tree_leaves(network.init(seed)[0]) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_initial_weights_have_the_variance_of_the_kernels():
    network = build_network("convnet", (8, 8, 1), 3, width=64)
    params, _ = network.init(0)
    second = params.layers[2]  # Behind the first convolution and its ReLU.
    assert np.var(second.weight) == pytest.approx(2 / (9 * 64), rel=0.05)
    assert np.std(second.bias) == pytest.approx(0.1, rel=0.3)


@pytest.mark.parametrize("norm", ["none", "instance", "batch"])
def test_both_parameterisations_start_as_the_same_function(norm):
    x = images(shape=(8, 8, 1))
    outputs = []
    for parameterisation in ("standard", "ntk"):
        network = build_network(
            "convnet", (8, 8, 1), 3, width=5, norm=norm, parameterisation=parameterisation
        )
        outputs.append(network.apply(*network.init(0), x, training=True)[0])
    np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "settings", "architecture"),
    [
        ("convnet", {"depth": 1}, convnet(1)),
        ("convnet", {"depth": 2, "prepend": False}, convnet(2, prepend=False)),
        ("mlp", {}, fc(2)),
    ],
)
def test_wide_networks_have_the_tangent_kernel_of_infinite_width(name, settings, architecture):
    """The kernels are computed by other code, from other mathematics: no network is in them."""
    x, width, seeds, outputs = images(), 128, 12, 2
    network = build_network(
        name, x.shape[1:], outputs, width=width, parameterisation="ntk", **settings
    )

    @jax.jit
    def tangent_kernel(params, state):
        jacobian = jax.jacrev(lambda p: network.apply(p, state, x, training=True)[0])(params)
        parts = [leaf.reshape(len(x), outputs, -1) for leaf in jax.tree_util.tree_leaves(jacobian)]
        return sum(np.float32(1 / outputs) * jax.numpy.einsum("ikp,jkp->ij", p, p) for p in parts)

    found = np.mean([tangent_kernel(*network.init(seed)) for seed in range(seeds)], axis=0)
    expected = kernel(KernelSpec(architecture, kind="ntk")).block(x, x)
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    # Random networks differ by about the root of 2 (layers) / (width seeds), here some 0.06.
    assert error < 0.08
