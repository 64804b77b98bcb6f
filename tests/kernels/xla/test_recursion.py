"""The band gives the whole tensor's numbers: variances and kernels of single images."""

import jax.numpy as jnp
import numpy as np
import pytest

from stillhouse.kernels import KernelSpec, conv, convnet, fc, myrtle
from stillhouse.kernels.xla.recursion import pairs, variances

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("architecture", [conv(2), convnet(2)])
def test_variances_are_the_diagonal_before_each_relu(x64, architecture):
    spec = KernelSpec(architecture)
    x = RNG.normal(size=(5, 6, 2, 3))
    maps = variances(spec, jnp.asarray(x))
    # Before the first ReLU: the mean of |x|^2 over the 3 x 3 window, borders counting zeros.
    power = np.pad((x**2).mean(2), [(1, 1), (1, 1), (0, 0)])
    window = sum(power[i : i + 5, j : j + 6] for i in range(3) for j in range(3))
    np.testing.assert_allclose(maps[0], 2 / 9 * window + 0.01, rtol=1e-12)
    # The second follows from the first: a ReLU halves a variance.
    half = np.pad(maps[0] / 2, [(1, 1), (1, 1), (0, 0)])
    window = sum(half[i : i + 5, j : j + 6] for i in range(3) for j in range(3))
    np.testing.assert_allclose(maps[1], 2 / 9 * window + 0.01, rtol=1e-12)
    assert len(maps) == (2 if architecture == conv(2) else 3)


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
@pytest.mark.parametrize("name", ["fc", "convnet", "myrtle", "odd"])
def test_an_image_with_itself(x64, brute_force, odd_architecture, kind, name):
    architecture = {
        "fc": fc(2),
        "convnet": convnet(2),
        "myrtle": myrtle(5),
        "odd": odd_architecture,
    }[name]
    spec = KernelSpec(architecture, kind)
    x = RNG.normal(size=(7, 6, 2, 2))
    maps = variances(spec, jnp.asarray(x))
    found = pairs(spec, x, x, maps, maps, same=jnp.array(True))
    images = np.moveaxis(x, -1, 0)
    expected = np.diag(brute_force(spec, images, images))
    np.testing.assert_allclose(found, expected, rtol=1e-7)  # arccos(1) loses half the digits
