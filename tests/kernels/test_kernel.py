"""One function gives a kernel, and says early what it cannot give."""

import jax
import pytest

from stillhouse.kernels import BACKENDS, Architecture, Conv, KernelSpec, convnet, fc, kernel
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
