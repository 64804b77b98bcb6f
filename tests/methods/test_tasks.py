import numpy as np
import pytest

from stillhouse.kernels.architecture import fc
from stillhouse.kernels.kernel import kernel
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.tasks import Task, check_results, run_task

_SPEC = KernelSpec(fc(1))


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


_X1, _X2 = random(3, 4, 4, 1), random(5, 4, 4, 1, seed=1)
_G = random(3, 5, seed=2)
_TASKS = {
    "gram": Task("gram", _SPEC, (_X1,)),
    "block": Task("block", _SPEC, (_X1, _X2)),
    "gram_vjp": Task("gram_vjp", _SPEC, (_X1,), random(3, 3)),
    "block_vjp by the first": Task("block_vjp", _SPEC, (_X1, _X2), _G, (0,)),
    "block_vjp by the second": Task("block_vjp", _SPEC, (_X1, _X2), _G, (1,)),
    "block_vjp by both": Task("block_vjp", _SPEC, (_X1, _X2), _G, (0, 1)),
}


@pytest.fixture(scope="module")
def one():
    return kernel(_SPEC)


@pytest.mark.parametrize("task", _TASKS.values(), ids=_TASKS)
def test_results_are_what_the_task_says(one, task):
    results = run_task(one, task)
    check_results(task.result_shapes, results)
    assert tuple(result.shape for result in results) == task.result_shapes


def test_each_function_is_the_kernels_own(one):
    (gram,) = run_task(one, _TASKS["gram"])
    np.testing.assert_array_equal(gram, one.gram(_X1))
    (block,) = run_task(one, _TASKS["block"])
    np.testing.assert_array_equal(block, one.block(_X1, _X2))
    both = run_task(one, _TASKS["block_vjp by both"])
    for result, expected in zip(both, one.vjp(_X1, _X2, _G), strict=True):
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(("name", "elements"), [("gram", 6), ("gram_vjp", 6), ("block", 15)])
def test_a_symmetric_block_counts_its_upper_triangle(name, elements):
    assert _TASKS[name].elements == elements


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("exec", _SPEC, (_X1,)), "`function` must be one of gram, block"),
        (("gram", _SPEC, (_X1, _X2)), "does not take 2 sets"),
        (("block", _SPEC, (_X1,)), "does not take 1 sets"),
        (("block", _SPEC, (_X1, _X2.astype(float))), "float32"),
        (("block", _SPEC, (_X1, _X2[..., 0])), "float32"),
        (("block", _SPEC, (_X1, _X2[:, :3])), "one size"),
        (("block", _SPEC, (_X1, _X2), _G), "`cotangent`"),
        (("gram_vjp", _SPEC, (_X1,)), "`cotangent`"),
        (("block_vjp", _SPEC, (_X1, _X2), _G.T, (1,)), r"must be \[3, 5\], got \[5, 3\]"),
        (("block_vjp", _SPEC, (_X1, _X2), _G), r"`wrt` of `block_vjp` cannot be \(\)"),
        (("block_vjp", _SPEC, (_X1, _X2), _G, (1, 0)), "`wrt`"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Task(*arguments)


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([], "0 results where 1"),
        ([_G, _G], "2 results where 1"),
        ([_G.astype(float)], r"float64 \[3, 5\] where float32 \[3, 5\]"),
        ([_G.T], r"float32 \[5, 3\]"),
        ([np.full_like(_G, np.nan)], "NaN"),
    ],
)
def test_results_that_cannot_be_right_are_refused(results, message):
    with pytest.raises(ValueError, match=message):
        check_results([(3, 5)], results)
