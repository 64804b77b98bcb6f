import numpy as np
import pytest

from stillhouse.kernels.architecture import fc
from stillhouse.kernels.kernel import kernel
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.programs import (
    ArrayType,
    Context,
    KernelBlock,
    KernelBlockVjp,
    KernelGram,
    KernelGramVjp,
)
from stillhouse.methods.tasks import Outline, Task, check_results, run_task

_SPEC = KernelSpec(fc(1))


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


_X1, _X2 = random(3, 4, 4, 1), random(5, 4, 4, 1, seed=1)
_G = random(3, 5, seed=2)
_TASKS = {
    "gram": Task(KernelGram(_SPEC), (_X1,)),
    "block": Task(KernelBlock(_SPEC), (_X1, _X2)),
    "gram_vjp": Task(KernelGramVjp(_SPEC), (_X1,), (random(3, 3),)),
    "block_vjp by the first": Task(KernelBlockVjp(_SPEC, (0,)), (_X1, _X2), (_G,)),
    "block_vjp by the second": Task(KernelBlockVjp(_SPEC, (1,)), (_X1, _X2), (_G,)),
    "block_vjp by both": Task(KernelBlockVjp(_SPEC, (0, 1)), (_X1, _X2), (_G,)),
}


@pytest.fixture(scope="module")
def context():
    return Context()


@pytest.mark.parametrize("task", _TASKS.values(), ids=_TASKS)
def test_results_are_what_the_task_says(context, task):
    check_results(task.results, run_task(context, task))


def test_each_program_computes_what_its_kernel_does(context):
    one = kernel(_SPEC)
    (gram,) = run_task(context, _TASKS["gram"])
    np.testing.assert_array_equal(gram, one.gram(_X1))
    (block,) = run_task(context, _TASKS["block"])
    np.testing.assert_array_equal(block, one.block(_X1, _X2))
    both = run_task(context, _TASKS["block_vjp by both"])
    for result, expected in zip(both, one.vjp(_X1, _X2, _G), strict=True):
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    ("name", "elements"),
    [("gram", 6), ("gram_vjp", 6), ("block", 15), ("block_vjp by both", 15)],
)
def test_a_symmetric_block_counts_its_upper_triangle(name, elements):
    task = _TASKS[name]
    assert (task.work, task.program.unit) == (elements, "kernel elements")


@pytest.mark.parametrize("task", _TASKS.values(), ids=_TASKS)
def test_a_task_can_be_outlined_before_there_are_arrays(task):
    shared = {str(i): ArrayType(x.shape, x.dtype) for i, x in enumerate(task.shared)}
    own = tuple(ArrayType(x.shape, x.dtype) for x in task.own)
    outline = Outline(task.program, shared, own)
    task.program.check(*outline.types)
    assert task.program.work(*outline.types) == task.work
    assert task.program.results(*outline.types) == task.results
    assert task.program.describe(*outline.types) == str(task)


@pytest.mark.parametrize(
    ("program", "shared", "own", "message"),
    [
        (KernelGram(_SPEC), (_X1, _X2), (), "does not take 2 sets"),
        (KernelBlock(_SPEC), (_X1,), (), "does not take 1 sets"),
        (KernelBlock(_SPEC), (_X1, _X2.astype(float)), (), "float32"),
        (KernelBlock(_SPEC), (_X1, _X2[..., 0]), (), "float32"),
        (KernelBlock(_SPEC), (_X1, _X2[:, :3]), (), "one size"),
        (KernelBlock(_SPEC), (_X1, _X2), (_G,), "no arrays of its own"),
        (KernelGramVjp(_SPEC), (_X1,), (), "the cotangent, got 0"),
        (KernelBlockVjp(_SPEC, (1,)), (_X1, _X2), (_G.T,), r"must be float32 \[3, 5\], got float32 "
         r"\[5, 3\]"),
        (KernelBlockVjp(_SPEC, (1,)), (_X1, _X2), (_G.astype(float),), "got float64"),
    ],
)  # fmt: skip
def test_parts_that_do_not_belong_together_are_refused(program, shared, own, message):
    with pytest.raises(ValueError, match=message):
        Task(program, shared, own)


@pytest.mark.parametrize("wrt", [(), (1, 0), (2,)])
def test_a_derivative_by_nothing_is_refused(wrt):
    with pytest.raises(ValueError, match="`wrt` must be"):
        KernelBlockVjp(_SPEC, wrt)


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
        check_results([ArrayType((3, 5))], results)
