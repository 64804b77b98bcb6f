"""The oracle against finite differences, and the backends against the oracle."""

import functools

import jax
import numpy as np
import pytest
from sklearn.datasets import load_digits

from stillhouse.kernels import KernelSpec, conv, kernel
from stillhouse.methods.kernel_regression.ridge import krr_step


@pytest.fixture(scope="module")
def oracle(script):
    return script


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
@pytest.mark.parametrize("name", ["fc3", "convnet, odd", "unlike windows", "pools everywhere"])
def test_gradients_of_the_reference_are_its_finite_differences(oracle, name, kind):
    architecture, shape = oracle.ARCHITECTURES[name]
    spec, exact = KernelSpec(architecture, kind), oracle.exact
    x1, x2 = oracle.images("noise", shape, np.float64)
    rng = np.random.default_rng(2)
    cotangent, square = rng.normal(size=(3, 4)), rng.normal(size=(4, 4))
    v1, v2 = rng.normal(size=x1.shape), rng.normal(size=x2.shape)
    first, second = exact.vjp(spec, x1, x2, cotangent)
    for gradient, v, along in [
        (first, v1, lambda e: np.sum(cotangent * exact.block(spec, x1 + e * v1, x2))),
        (second, v2, lambda e: np.sum(cotangent * exact.block(spec, x1, x2 + e * v2))),
        (
            exact.gram_vjp(spec, x2, square),
            v2,
            lambda e: np.sum(square * exact.gram(spec, x2 + e * v2)),
        ),
    ]:
        slope = (along(1e-5) - along(-1e-5)) / 2e-5
        np.testing.assert_allclose(np.sum(gradient * v), slope, rtol=1e-5)


@pytest.mark.parametrize(
    ("backend", "architectures"),
    [("fused", ["fc1", "conv3", "convnet, no bias"]), ("xla", ["fc1", "conv1"])],
)
def test_every_kind_of_images_is_within_the_bounds(oracle, backend, architectures):
    rows = list(oracle.errors(backend, architectures=architectures))
    kinds = len(oracle.KINDS)
    assert len(rows) == len(architectures) * 2 * kinds * len(oracle.FUNCTIONS)
    assert not [row for row in rows if row.error > oracle.bound(row)]
    assert all(name in "\n".join(oracle.table(rows)) for name in (*oracle.KINDS, "fc1"))


@pytest.mark.parametrize("backend", ["xla", "neural_tangents"])
def test_float64_is_float64_at_every_kind_of_images(oracle, backend):
    if backend == "neural_tangents":
        pytest.importorskip("neural_tangents", reason="not installed on this stack")
    jax.config.update("jax_enable_x64", True)
    try:
        rows = list(oracle.errors(backend, architectures=["conv1"], dtype=np.float64))
    finally:
        jax.config.update("jax_enable_x64", False)
    # Where patches are equal, neural_tangents is right to the root of float64's rounding.
    # Images of size 1e-6 beside biases of 0.1 leave it few digits in any backend.
    assert max(row.error for row in rows) < (1e-6 if backend == "xla" else 1e-4)


@pytest.mark.parametrize("backend", ["fused", "xla"])
def test_the_gradient_of_kip_on_digits_is_that_of_float64(oracle, backend):
    """Support images at and near targets, whose black borders they all but share."""
    digits, labels = load_digits(return_X_y=True)
    x = digits[:16].reshape(-1, 8, 8, 1)
    x = ((x - x.mean()) / x.std()).astype(np.float32)
    y = np.eye(10)[labels[:16]] - 0.1
    spec = KernelSpec(conv(2))
    found, exact = kernel(spec, backend=backend), oracle.exact

    def gradient(gram, block, gram_vjp, vjp, s):
        ridge = krr_step(gram(s), block(s, x).T, y[:6], y)
        return gram_vjp(s, ridge.g_ss) + vjp(s, x, ridge.g_ts.T)[0]

    for moved in (0.0, 1e-4, 1e-3, 4e-2):
        s = (x[:6] + moved * np.random.default_rng(0).normal(size=x[:6].shape)).astype("f4")
        mine = gradient(found.gram, found.block, found.gram_vjp, found.vjp, s)
        theirs = gradient(
            *(
                functools.partial(f, spec)
                for f in (exact.gram, exact.block, exact.gram_vjp, exact.vjp)
            ),
            s,
        )
        assert oracle.relative_error(mine, theirs) < 1e-3, moved


def test_what_is_not_finite_has_an_infinite_error(oracle):
    assert oracle.relative_error(np.array([np.nan, 1.0]), np.ones(2)) == np.inf
