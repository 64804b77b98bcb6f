import pytest

from stillhouse.kernels.architecture import fc
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.programs import Context, UnsupportedError

_SPEC = KernelSpec(fc(1))


def test_a_kernel_is_made_once_by_the_backend_and_threads_asked_for():
    context = Context("xla", 1)
    made = context.kernel(_SPEC)
    assert made.backend == "xla"
    assert context.kernel(KernelSpec(fc(1))) is made


def test_a_backend_that_is_not_here_is_no_fault_of_the_arrays():
    with pytest.raises(UnsupportedError, match="`backend` must be one of"):
        Context("abacus").kernel(_SPEC)
