"""One function gives a kernel, and says early what it cannot give."""

import jax
import numpy as np
import pytest

from stillhouse.kernels import BACKENDS, Architecture, Conv, KernelSpec, conv, convnet, fc, kernel
from stillhouse.kernels.cuda import missing_reason


@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_a_backend_asked_for_by_name_is_the_one_that_comes(backend):
    if backend == "neural_tangents":
        pytest.importorskip("neural_tangents", reason="not installed on this stack")
    if backend == "cuda" and (reason := missing_reason()):
        pytest.skip(reason)
    spec = KernelSpec(fc(1))
    found = kernel(spec, backend=backend)
    assert found.spec == spec
    assert found.backend == backend


def test_auto_takes_the_fused_loops_on_a_cpu():
    assert jax.default_backend() == "cpu"
    assert kernel(KernelSpec(convnet())).backend == "fused"


def test_a_network_that_no_compiled_backend_has_is_refused_with_the_one_that_does():
    spec = KernelSpec(Architecture((Conv((2, 2)), *convnet(1).layers[1:])))
    with pytest.raises(ValueError, match=r"Conv.*\(2, 2\).*neural_tangents"):
        kernel(spec)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"backend": "tpu"}, "`backend` must be one of.*'tpu'"), ({"threads": 0}, "`threads`.*0")],
)
def test_bad_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        kernel(KernelSpec(fc(1)), **options)


@pytest.mark.parametrize("backend", ["fused", "xla", "neural_tangents"])
def test_black_patches_without_bias_have_the_mean_of_both_slopes(x64, brute_force, backend):
    """Which is what a central difference gives; docs/mathematics.md has the convention."""
    if backend == "neural_tangents":
        pytest.importorskip("neural_tangents", reason="not installed on this stack")
    x, y = np.zeros((2, 1, 5, 5, 1))
    x[0, 2, 2] = 1.0
    y[0, 1:4, 1:4, 0] = np.arange(1.0, 10).reshape(3, 3)
    spec = KernelSpec(conv(1, b_std=0.0), "nngp")
    slopes = np.zeros(x.size)
    for i in range(x.size):
        v = np.zeros_like(x)
        v.ravel()[i] = 1e-6
        slopes[i] = (brute_force(spec, x + v, y) - brute_force(spec, x - v, y)).item() / 2e-6
    (found,) = kernel(spec, backend=backend).vjp(x, y, np.ones((1, 1)), wrt=(0,))
    np.testing.assert_allclose(found.ravel(), slopes, rtol=0, atol=1e-5 * np.abs(slopes).max())
