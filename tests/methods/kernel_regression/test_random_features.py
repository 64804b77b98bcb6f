import functools

import numpy as np
import pytest

from stillhouse.kernels.architecture import (
    Architecture,
    AvgPool,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    Relu,
    conv,
    convnet,
    fc,
)
from stillhouse.kernels.kernel import kernel
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.kernel_regression.features import FeatureComputer, FeatureTasks
from stillhouse.methods.kernel_regression.random_features import RandomFeatures
from stillhouse.methods.programs import Context
from stillhouse.workers.local import LocalRunner

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((5, 6, 6, 2)).astype(np.float32)
# An even window, odd pools, a hidden dense layer: what no published network has.
ODD = Architecture(
    (Conv((2, 3)), Relu(), AvgPool((2, 3)), Conv(), Relu(), Flatten(), Dense(), Relu(), Dense())
)
NETWORKS = {
    "fc": fc(2),
    "conv": conv(1, global_pool=True),
    "convnet": convnet(1, W_std=1.2, b_std=0.3),
    "odd": ODD,
}


def numpy_features(architecture, weights, x):
    """One loop a layer, in float64."""
    drawn = iter(weights)
    for layer in architecture.layers[:-1]:
        if isinstance(layer, Conv):
            W, b = (np.float64(a) for a in next(drawn))
            rows, columns = W.shape[:2]
            before = (rows - 1) // 2, (columns - 1) // 2
            around = [(0, 0), (before[0], rows // 2), (before[1], columns // 2), (0, 0)]
            n, h, w, _ = x.shape
            padded = np.pad(x, around)
            x = sum(
                padded[:, i : i + h, j : j + w] @ W[i, j]
                for i in range(rows)
                for j in range(columns)
            )
            x = x + b
        elif isinstance(layer, Dense):
            W, b = (np.float64(a) for a in next(drawn))
            x = x @ W + b
        elif isinstance(layer, Relu):
            x = np.maximum(x, 0)
        elif isinstance(layer, AvgPool):
            (a, b), (n, h, w, c) = layer.window, x.shape
            x = x[:, : h // a * a, : w // b * b].reshape(n, h // a, a, w // b, b, c).mean((2, 4))
        elif isinstance(layer, GlobalAvgPool):
            x = x.mean(axis=(1, 2))
        else:
            x = x.reshape(len(x), -1)
    return x * architecture.layers[-1].W_std / np.sqrt(x.shape[1])


@pytest.fixture(params=NETWORKS)
def architecture(request):
    return NETWORKS[request.param]


@pytest.fixture(params=["one width", "a width for each layer"])
def width(request, architecture):
    layers = len(RandomFeatures(architecture, 4, (6, 6, 2)).draw(0))
    return 4 if request.param == "one width" else tuple(range(3, 3 + layers))


def test_features_are_those_of_one_loop_a_layer(architecture, width):
    networks = RandomFeatures(architecture, width, (6, 6, 2))
    networks.chunk = 2  # Chunks of 2, 2 and 1.
    found = networks.features(3, IMAGES)
    expected = numpy_features(architecture, networks.draw(3), np.float64(IMAGES))
    assert found.shape == (5, networks.size) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_their_derivative_is_that_of_finite_differences(architecture, width):
    networks = RandomFeatures(architecture, width, (6, 6, 2))
    networks.chunk = 2
    weights = networks.draw(3)
    g = RNG.standard_normal((5, networks.size)).astype(np.float32)
    gradient = networks.pull_back(3, IMAGES, g)
    for seed in range(3):
        along = np.random.default_rng(seed).standard_normal(IMAGES.shape)
        high, low = (
            np.sum(g * numpy_features(architecture, weights, IMAGES + step * along))
            for step in (1e-6, -1e-6)
        )
        slope = (high - low) / 2e-6
        assert np.sum(gradient * along) == pytest.approx(slope, rel=1e-3, abs=1e-3)


def test_chunks_and_company_change_no_bits():
    networks = RandomFeatures(convnet(1), 4, (6, 6, 2))
    whole = networks.features(1, IMAGES)
    networks.chunk = len(IMAGES)
    again = networks.features(1, IMAGES[::-1])[::-1]
    assert whole.tobytes() == again.tobytes()
    assert whole.tobytes() != networks.features(2, IMAGES).tobytes()


def test_threads_change_no_bits():
    made = []
    for threads in (1, 3):
        networks = RandomFeatures(convnet(1, prepend=False), 4, (6, 6, 2), threads=threads)
        networks.chunk = 2
        features = networks.features(1, IMAGES)
        made.append((features.tobytes(), networks.pull_back(1, IMAGES, features).tobytes()))
    assert made[0] == made[1]


@functools.cache
def _exact(spec):
    return kernel(spec).gram(IMAGES).astype(np.float64)


def error(architecture, width, networks, seed):
    spec = KernelSpec(architecture, "nngp")
    exact = _exact(spec)
    computer = FeatureComputer(LocalRunner(Context()), width=width, networks=networks, seed=seed)
    return np.linalg.norm(computer.gram(spec, IMAGES) - exact) / np.linalg.norm(exact)


@pytest.mark.parametrize("name", ["convnet", "fc"])
def test_the_error_falls_as_the_root_of_networks_times_width(name):
    few, many, wide = (
        np.median([error(NETWORKS[name], *size, seed) for seed in range(20)])
        for size in ((8, 4), (8, 64), (32, 16))
    )
    # Sixteen times as many units: a quarter of the error, whichever way they are had.
    assert few / many == pytest.approx(4, rel=0.4)
    assert few / wide == pytest.approx(4, rel=0.4)


def test_layers_of_widths_that_differ_estimate_the_same_kernel():
    few, many = (
        np.median([error(NETWORKS["convnet"], (4, 12), networks, seed) for seed in range(20)])
        for networks in (4, 64)
    )
    assert few / many == pytest.approx(4, rel=0.4)


def test_widths_that_are_all_the_same_are_one():
    one, each = (RandomFeatures(convnet(1), width, (6, 6, 2)) for width in (4, (4, 4)))
    assert one.features(3, IMAGES).tobytes() == each.features(3, IMAGES).tobytes()


def test_every_layer_has_its_width():
    with pytest.raises(ValueError, match="this network has 2, got 3: 4,4,8"):
        RandomFeatures(convnet(1), (4, 4, 8), (6, 6, 2))


def test_cotangents_are_those_of_the_kernel():
    spec = KernelSpec(fc(1), "nngp")
    tasks = FeatureTasks(spec, 4, LocalRunner(Context()))
    support, targets = tasks.features((1, 2), IMAGES[:3], IMAGES[3:])
    g_ss, g_ts = RNG.standard_normal((3, 3)), RNG.standard_normal((2, 3))

    def value(moved):
        ss, ts = tasks.kernel(moved, moved), tasks.kernel(targets, moved)
        return np.sum(g_ss * ss) + np.sum(g_ts * ts)

    found = tasks.cotangents(g_ss, g_ts, support, targets)
    along = [RNG.standard_normal(f.shape) for f in support]
    high, low = (
        value([f + step * a for f, a in zip(np.float64(support), along, strict=True)])
        for step in (1e-2, -1e-2)
    )
    slope = sum(np.sum(f * a) for f, a in zip(found, along, strict=True))
    # The kernel is quadratic in its features: a central difference is exact, but for float32.
    assert slope == pytest.approx((high - low) / 2e-2, rel=1e-4)


def test_the_computer_differentiates_its_own_estimate():
    spec = KernelSpec(convnet(1), "nngp")
    computer = FeatureComputer(LocalRunner(Context()), width=4, networks=3)
    x_s, x_t = IMAGES[:3], IMAGES[3:]
    g_ss, g_ts = (RNG.standard_normal(s).astype(np.float32) for s in ((3, 3), (2, 3)))
    gradient = computer.backward(spec, x_s, x_t, g_ss, g_ts)
    along = gradient / np.linalg.norm(gradient)

    def value(x):
        ss, ts = computer.forward(spec, x, x_t)
        return np.sum(g_ss * ss, dtype=np.float64) + np.sum(g_ts * ts, dtype=np.float64)

    slope = (value(x_s + 2e-2 * along) - value(x_s - 2e-2 * along)) / 4e-2
    assert np.linalg.norm(gradient) == pytest.approx(slope, rel=2e-2)


def test_images_that_are_too_small_are_named():
    with pytest.raises(ValueError, match="images of 6 x 6 pixels are too small"):
        RandomFeatures(convnet(3), 4, (6, 6, 2))
