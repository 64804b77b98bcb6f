"""One function gives a kernel, and says early what it cannot give."""

import pytest

from stillhouse.kernels import KernelSpec, fc, kernel


def test_auto_gives_a_kernel_that_names_its_backend():
    spec = KernelSpec(fc(1))
    found = kernel(spec)
    assert found.spec == spec
    assert found.backend in ("xla", "fused")


@pytest.mark.parametrize(
    ("options", "words"),
    [({"backend": "cuda"}, "`backend` must be one of.*'cuda'"), ({"threads": 0}, "`threads`.*0")],
)
def test_bad_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        kernel(KernelSpec(fc(1)), **options)
