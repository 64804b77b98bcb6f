"""What XLA is given to compile for a GPU, seen without one.

Under JAX's 64-bit mode, since without it nothing could become float64 by mistake.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stillhouse.kernels import KernelSpec, conv, convnet, fc, myrtle
from stillhouse.kernels.xla import backend
from stillhouse.networks import NetworkSpec, curvature
from stillhouse.networks.descent import programs_for
from stillhouse.networks.objective import Objective

export = pytest.importorskip("jax.export", reason="this JAX cannot export programs")

SHAPE = (9, 8, 2)
KERNELS = {
    "fc": (fc(2), SHAPE),
    "conv": (conv(2), SHAPE),
    "convnet": (convnet(2), SHAPE),  # its second pool leaves a row over
    "global pool": (convnet(1, global_pool=True), SHAPE),
    "myrtle": (myrtle(5), (16, 16, 3)),
}
NETWORKS = {
    "mlp": NetworkSpec("mlp"),
    "convnet, instance norm": NetworkSpec("convnet", depth=2),
    "convnet, batch norm": NetworkSpec("convnet", depth=1, norm="batch"),
    "resnet": NetworkSpec("resnet18"),
}


@pytest.fixture(autouse=True)
def in_64_bit_mode():
    home = jax if hasattr(jax, "enable_x64") else jax.experimental
    with home.enable_x64(True):
        yield


def shapes_of(tree):
    return jax.tree_util.tree_map(lambda x: jax.ShapeDtypeStruct(jnp.shape(x), x.dtype), tree)


def faults(program, *arguments):
    """What a compiled function would do on a GPU that it should not."""
    exported = export.export(program, platforms=["cuda"])(*arguments)
    lines = exported.mlir_module().splitlines()
    code = [line for line in lines if not line.startswith("#loc")]
    # Arrays of it: numbers that the source spells out are made float32 one by one.
    found = [f"float64: {line}" for line in code if re.search(r"\dxf64>", line)]
    found += [f"a call: {line}" for line in code if "custom_call" in line or "feed" in line]
    for line in code:
        if "stablehlo.dot" in line or "stablehlo.convolution" in line:
            if line.count("HIGHEST") != 2:
                found.append(f"rounded factors: {line}")
    return found


def test_what_is_looked_for_is_found():
    x = jax.ShapeDtypeStruct((3, 3), np.float32)
    one = jax.ShapeDtypeStruct((1, 3, 3, 1), np.float32)

    def convolve(x, y):
        return jax.lax.conv_general_dilated(
            x, y, (1, 1), "SAME", dimension_numbers=("NHWC", "IHWO", "NHWC")
        )

    def call(x):
        return jax.pure_callback(lambda x: x, x, x)

    assert faults(jax.jit(lambda x: x + 1), x) == []
    assert "rounded" in faults(jax.jit(lambda x: x @ x), x)[0]
    assert "rounded" in faults(jax.jit(convolve), one, one)[0]
    assert "float64" in faults(jax.jit(lambda x: x * np.float64(2)), x)[0]
    # One to the host does not even lower for a machine that is not here.
    with pytest.raises(ValueError, match="different from the lowering platform cuda"):
        faults(jax.jit(call), x)


@pytest.fixture
def programs(monkeypatch):
    """Every program that kernels would compile from now on, and its arguments; none is run."""
    found = {}

    def traced(function):
        def call(*arguments):
            shapes = shapes_of(arguments)
            found[function, str(shapes)] = shapes
            results = jax.eval_shape(function, *shapes)
            return jax.tree_util.tree_map(lambda x: np.zeros(x.shape, x.dtype), results)

        return call

    def compiled(function):
        return backend._Compiled(*map(traced, original(function)))

    original = backend._compiled
    monkeypatch.setattr(backend, "_compiled", compiled)
    backend._programs.cache_clear()
    yield found
    backend._programs.cache_clear()


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_s_programs(programs, name, kind):
    architecture, shape = KERNELS[name]
    kernel = backend.XlaKernel(KernelSpec(architecture, kind), threads=1)
    x = np.random.default_rng(0).normal(size=(5, *shape)).astype(np.float32)
    kernel.block(x[:2], x[2:])
    kernel.vjp(x[:2], x[2:], np.ones((2, 3), np.float32))
    kernel.gram(x)
    kernel.gram_vjp(x, np.ones((5, 5), np.float32))
    # Variances, all pairs and listed pairs, forward and backward.
    assert len({function for function, _ in programs}) == 6
    for (function, _), arguments in programs.items():
        assert faults(function, *arguments) == []


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_s_programs(name):
    shape, classes = (32, 32, 3), 4
    made = programs_for(NETWORKS[name], Objective(l2=1e-3), shape, classes)
    params, state = shapes_of(made.network.init(0))
    moments = jax.eval_shape(made.optimiser.init, params)
    x = jax.ShapeDtypeStruct((6, *shape), np.float32)
    y = jax.ShapeDtypeStruct((6, classes), np.float32)
    rate = jax.ShapeDtypeStruct((), np.float32)
    assert faults(made.step, params, moments, state, rate, x, y) == []
    assert faults(made.predict, params, state, x) == []
    assert faults(made.kernel_product, y, params, state, x) == []


@pytest.mark.parametrize("name", ["mlp", "convnet, instance norm"])
def test_the_programs_of_a_hessian(name):
    shape, classes = (32, 32, 3), 4
    made = curvature.compiled(NETWORKS[name], "xent", shape, classes)
    theta = jax.ShapeDtypeStruct((made.network.num_parameters,), np.float32)
    rest = jax.ShapeDtypeStruct((0,), np.float32)
    x = jax.ShapeDtypeStruct((6, *shape), np.float32)
    y = jax.ShapeDtypeStruct((6, classes), np.float32)
    assert faults(made.gradient, theta, rest, x, y) == []
    assert faults(made.product, theta, theta, rest, x, y) == []
    assert faults(made.slopes, theta, theta, rest, x, y) == []
