"""The oracle against finite differences, and the backends against the oracle."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from stillhouse.kernels import KernelSpec

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def oracle():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield importlib.import_module("oracle")


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


def test_ordinary_images_are_within_the_bounds(oracle):
    rows = list(oracle.errors("fused", architectures=["convnet", "fc1"], kinds=["noise"]))
    assert len(rows) == 2 * 2 * len(oracle.FUNCTIONS)
    assert not [row for row in rows if row.error > oracle.BOUNDS[row.function]]
    assert all(name in "\n".join(oracle.table(rows)) for name in ("noise", "convnet"))


def test_what_is_not_finite_has_an_infinite_error(oracle):
    assert oracle.relative_error(np.array([np.nan, 1.0]), np.ones(2)) == np.inf
