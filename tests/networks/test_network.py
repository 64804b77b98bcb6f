import jax
import numpy as np
import pytest
from scipy.signal import correlate2d

from stillhouse.kernels import KernelSpec, convnet, fc, kernel
from stillhouse.networks import NetworkSpec, build_network


def images(n=3, shape=(4, 4, 2), seed=0):
    return np.random.default_rng(seed).standard_normal((n, *shape), np.float32)


def test_parameters_are_a_pure_function_of_the_seed():
    network = build_network(NetworkSpec(width=6), (8, 8, 1), 3)
    first, again, other = (jax.tree_util.tree_leaves(network.init(seed)[0]) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_initial_weights_have_the_variance_of_the_kernels():
    network = build_network(NetworkSpec(width=64), (8, 8, 1), 3)
    params, _ = network.init(0)
    second = params.layers[2]  # Behind the first convolution and its ReLU.
    assert np.var(second.weight) == pytest.approx(2 / (9 * 64), rel=0.05)
    assert np.std(second.bias) == pytest.approx(0.1, rel=0.3)


def test_xavier_weights_have_the_variance_of_glorot_and_biases_start_at_zero():
    network = build_network(NetworkSpec("lenet"), (28, 28, 1), 10)
    params, _ = network.init(0)
    for layer, variance in (
        (params.layers[3], 2 / (25 * 6 + 25 * 16)),
        (params.layers[7], 2 / (400 + 120)),
    ):
        assert np.var(layer.weight) == pytest.approx(variance, rel=0.1)
        assert not np.any(layer.bias)


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_network_is_one_vector_and_back(norm):
    network = build_network(NetworkSpec(width=5, depth=1, norm=norm), (4, 4, 2), 3)
    params, state = network.init(0)
    _, state = network.apply(params, state, images(), training=True)
    vector = network.pack(params, state)
    assert (vector.dtype, vector.shape) == (np.float32, (network.size,))
    assert network.size == sum(int(np.prod(shape)) for _, shape in network.layout)
    again = network.unpack(vector)
    np.testing.assert_array_equal(network.pack(*again), vector)
    np.testing.assert_array_equal(
        network.apply(*again, images(), training=False)[0],
        network.apply(params, state, images(), training=False)[0],
    )
    names = [name for name, _ in network.layout]
    assert names[:2] == ["layers.0.weight", "layers.0.bias"] and len(set(names)) == len(names)
    with pytest.raises(ValueError, match=r"are \[\d+\], got shape \(3,\)"):
        network.unpack(vector[:3])


def test_features_are_what_the_last_layer_sees():
    network = build_network(NetworkSpec(width=5, depth=2, norm="batch"), (8, 8, 1), 3)
    params, state = network.init(0)
    x = images(shape=(8, 8, 1))
    features, after = network.features(params, state, x, training=True)
    outputs, same = network.apply(params, state, x, training=True)
    last = params.layers[-1]
    assert features.shape == (3, 2 * 2 * 5)
    np.testing.assert_allclose(features @ last.weight.T + last.bias, outputs, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(network.pack(params, after), network.pack(params, same))


@pytest.mark.parametrize("side", [16, 28, 32])
def test_lenet_is_the_published_network_by_other_code(side):
    network = build_network(NetworkSpec("lenet"), (side, side, 2), 4)
    params, state = network.init(0)
    x = images(2, (side, side, 2))
    found = network.apply(params, state, x, training=False)[0]
    arrays = [np.asarray(leaf, np.float64) for leaf in jax.tree_util.tree_leaves(params)]

    def convolve(image, weight, bias):
        rows = [
            sum(correlate2d(image[i], weight[o, i], "valid") for i in range(len(image)))
            for o in range(len(weight))
        ]
        each = np.maximum(np.stack(rows) + bias, 0)
        c, h, w = each.shape
        return each.reshape(c, h // 2, 2, w // 2, 2).max(axis=(2, 4))

    for image, outputs in zip(x, found, strict=True):
        around = 0 if side == 32 else 2
        h = np.pad(image.transpose(2, 0, 1), ((0, 0), (around, around), (around, around)))
        h = convolve(convolve(h, *arrays[0:2]), *arrays[2:4]).ravel()
        h = np.maximum(arrays[4] @ h + arrays[5], 0)
        h = np.maximum(arrays[6] @ h + arrays[7], 0)
        np.testing.assert_allclose(outputs, arrays[8] @ h + arrays[9], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("norm", ["none", "instance", "batch"])
def test_both_parameterisations_start_as_the_same_function(norm):
    x = images(shape=(8, 8, 1))
    outputs = []
    for parameterisation in ("standard", "ntk"):
        spec = NetworkSpec(width=5, norm=norm, parameterisation=parameterisation)
        network = build_network(spec, (8, 8, 1), 3)
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
    spec = NetworkSpec(name, width=width, parameterisation="ntk", **settings)
    network = build_network(spec, x.shape[1:], outputs)

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
