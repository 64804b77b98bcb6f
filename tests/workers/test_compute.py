import dataclasses
import logging

import numpy as np
import pytest

from stillhouse.data.wire import pack
from stillhouse.kernels.architecture import conv, fc
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.programs import (
    Context,
    KernelBlock,
    KernelGram,
    Program,
    UnsupportedError,
    program_to_json,
)
from stillhouse.methods.tasks import Task, check_results, run_task
from stillhouse.workers.compute import compute, failure_kind, out_of_memory, read_task

_SPEC = KernelSpec(fc(1))


class Small:
    """A kernel on a machine that has memory for so many pairs of images at once."""

    backend = "small"

    def __init__(self, inner, most, error=MemoryError):
        self.inner, self.most, self.error, self.calls = inner, most, error, 0

    def _check(self, n1, n2):
        self.calls += 1
        if n1 * n2 > self.most:
            raise self.error("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes\nand so on")

    def block(self, x1, x2):
        self._check(len(x1), len(x2))
        return self.inner.block(x1, x2)

    def vjp(self, x1, x2, cotangent, *, wrt=(0, 1)):
        self._check(len(x1), len(x2))
        return self.inner.vjp(x1, x2, cotangent, wrt=wrt)

    def gram(self, x):
        self._check(len(x), len(x))
        return self.inner.gram(x)

    def gram_vjp(self, x, cotangent):
        self._check(len(x), len(x))
        return self.inner.gram_vjp(x, cotangent)


def small(context, most, error=MemoryError, spec=_SPEC, of=Small):
    """What a machine computes with that has memory for so many pairs of images."""
    return Context(kernels={spec: of(context.kernel(spec), most, error)})


@pytest.fixture(scope="module")
def whole():
    return Context("xla", 1)


@pytest.mark.parametrize("most", [1, 3, 7, 30])
def test_in_parts_a_task_has_the_results_of_the_whole(whole, tasks, most):
    for task in tasks:
        parts = compute(small(whole, most), task)
        check_results(task.results, parts)
        for part, expected in zip(parts, compute(whole, task), strict=True):
            np.testing.assert_allclose(part, expected, rtol=1e-5, atol=1e-5)


def test_in_parts_the_fused_kernel_gives_blocks_of_the_same_bits(images):
    spec = KernelSpec(conv(1))
    fused = Context("fused", 1)
    x = np.repeat(images, 2, axis=1)
    for task in (Task(KernelGram(spec), (x,)), Task(KernelBlock(spec), (x[:5], x[5:]))):
        (expected,), (found,) = compute(fused, task), compute(small(fused, 20, spec=spec), task)
        np.testing.assert_array_equal(found, expected)


def test_with_enough_memory_nothing_is_cut(whole, tasks, caplog):
    enough = small(whole, 10_000)
    for task in tasks:
        for found, expected in zip(compute(enough, task), run_task(whole, task), strict=True):
            np.testing.assert_array_equal(found, expected)
    assert enough.kernel(_SPEC).calls == len(tasks)
    assert not caplog.records


def test_that_a_task_is_cut_is_told(whole, tasks, caplog):
    with caplog.at_level(logging.WARNING):
        compute(small(whole, 20, RuntimeError), tasks[1])
    (record,) = caplog.records
    assert "too little memory for the kernel block of 5 x 7 images" in record.getMessage()
    assert "and so on" not in record.getMessage()


def test_too_little_memory_for_one_pair_is_an_error(whole, tasks):
    for task in tasks:
        with pytest.raises(MemoryError, match="1( x 1)? images, which cannot be halved"):
            compute(small(whole, 0), task)


def test_what_cannot_be_halved_is_told_of(whole):
    @dataclasses.dataclass(frozen=True)
    class Whole(Program):
        name, unit = "training", "passes"

        def check(self, shared, own):
            pass

        def results(self, shared, own):
            return ()

        def work(self, shared, own):
            return 1

        def compute(self, context, shared, own):
            raise MemoryError("64 GB asked")

    message = "too little memory for the training, which cannot be halved: 64 GB asked"
    with pytest.raises(MemoryError, match=message):
        compute(whole, Task(Whole(), ()))


def test_a_result_that_is_not_finite_is_an_error(whole, tasks):
    class NotFinite(Small):
        def gram(self, x):
            return np.full((len(x), len(x)), np.nan, np.float32)

    with pytest.raises(FloatingPointError, match="is not finite"):
        compute(small(whole, 0, of=NotFinite), tasks[0])


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError("little"), "memory"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"), "memory"),
        (ValueError("too small"), "value"),
        (FloatingPointError("range"), "value"),
        (RuntimeError("INTERNAL: a bug"), "other"),
        (KeyError("x"), "other"),
        (UnsupportedError("no such backend"), "other"),
    ],
)
def test_errors_are_sorted_by_who_may_do_better(error, kind):
    assert failure_kind(error) == kind
    assert out_of_memory(error) == (kind == "memory")


def entry(task):
    own = [pack(array) for array in task.own]
    return {"program": program_to_json(task.program), "own": own}


def test_a_message_becomes_its_task(tasks):
    for task in tasks:
        read = read_task(entry(task), task.shared)
        assert (read.program, read.shared) == (task.program, task.shared)
        for array, expected in zip(read.own, task.own, strict=True):
            np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    "change",
    [
        {"program": '{"program":"os.system"}'},
        {"program": '{"program":"kernel_block"}'},
        {"program": "{}"},
        {"program": None},
        {"own": [b"junk"]},
        {"own": ["text"]},
        {"own": []},
        {"own": None},
    ],
)
def test_a_message_that_is_no_task_is_a_value_error(tasks, change):
    with pytest.raises(ValueError):
        read_task(entry(tasks[3]) | change, tasks[3].shared)


def test_a_message_that_lacks_an_entry_is_named(tasks):
    message = entry(tasks[0])
    del message["own"]
    with pytest.raises(ValueError, match="cannot be read: KeyError\\('own'\\)"):
        read_task(message, tasks[0].shared)
