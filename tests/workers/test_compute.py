import logging

import numpy as np
import pytest

from stillhouse.data.wire import pack
from stillhouse.kernels.architecture import conv, fc
from stillhouse.kernels.kernel import kernel
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.tasks import Task, run_task
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


@pytest.fixture(scope="module")
def whole():
    return kernel(_SPEC, backend="xla", threads=1)


@pytest.mark.parametrize("most", [1, 3, 7, 30])
def test_in_parts_a_task_has_the_results_of_the_whole(whole, tasks, most):
    for task in tasks:
        parts = compute(Small(whole, most), task)
        assert [part.shape for part in parts] == list(task.result_shapes)
        for part, expected in zip(parts, compute(whole, task), strict=True):
            assert part.dtype == np.float32
            np.testing.assert_allclose(part, expected, rtol=1e-5, atol=1e-5)


def test_in_parts_the_fused_kernel_gives_blocks_of_the_same_bits(images):
    spec = KernelSpec(conv(1))
    fused = kernel(spec, backend="fused", threads=1)
    x = np.repeat(images, 2, axis=1)
    for task in (Task("gram", spec, (x,)), Task("block", spec, (x[:5], x[5:]))):
        (expected,), (found,) = compute(fused, task), compute(Small(fused, 20), task)
        np.testing.assert_array_equal(found, expected)


def test_with_enough_memory_nothing_is_cut(whole, tasks, caplog):
    small = Small(whole, 10_000)
    for task in tasks:
        for found, expected in zip(compute(small, task), run_task(whole, task), strict=True):
            np.testing.assert_array_equal(found, expected)
    assert small.calls == len(tasks)
    assert not caplog.records


def test_that_a_task_is_cut_is_told(whole, tasks, caplog):
    with caplog.at_level(logging.WARNING):
        compute(Small(whole, 20, RuntimeError), tasks[1])
    (record,) = caplog.records
    assert "too little memory for a block of 5 x 7 images" in record.getMessage()
    assert "and so on" not in record.getMessage()


def test_too_little_memory_for_one_pair_is_an_error(whole, tasks):
    for task in tasks:
        with pytest.raises(MemoryError, match="too little memory for one pair of images"):
            compute(Small(whole, 0), task)


def test_a_result_that_is_not_finite_is_an_error(whole, tasks):
    class NotFinite(Small):
        def gram(self, x):
            return np.full((len(x), len(x)), np.nan, np.float32)

    with pytest.raises(FloatingPointError, match="is not finite"):
        compute(NotFinite(whole, 0), tasks[0])


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError("little"), "memory"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"), "memory"),
        (ValueError("too small"), "value"),
        (FloatingPointError("range"), "value"),
        (RuntimeError("INTERNAL: a bug"), "other"),
        (KeyError("x"), "other"),
    ],
)
def test_errors_are_sorted_by_who_may_do_better(error, kind):
    assert failure_kind(error) == kind
    assert out_of_memory(error) == (kind == "memory")


def entry(task):
    return {
        "function": task.function,
        "spec": task.spec.to_json(),
        "cotangent": None if task.cotangent is None else pack(task.cotangent),
        "wrt": list(task.wrt),
    }


def test_a_message_becomes_its_task(tasks):
    for task in tasks:
        read = read_task(entry(task), task.images)
        assert (read.function, read.spec, read.wrt) == (task.function, task.spec, task.wrt)
        assert read.images == task.images
        np.testing.assert_array_equal(read.cotangent, task.cotangent)


@pytest.mark.parametrize(
    "change",
    [
        {"function": "os.system"},
        {"function": None},
        {"spec": "{}"},
        {"spec": 3},
        {"cotangent": b"junk"},
        {"cotangent": "text"},
        {"wrt": [7]},
        {"wrt": None},
    ],
)
def test_a_message_that_is_no_task_is_a_value_error(tasks, change):
    with pytest.raises(ValueError):
        read_task(entry(tasks[3]) | change, tasks[3].images)


def test_a_message_that_lacks_an_entry_is_named(tasks):
    message = entry(tasks[0])
    del message["wrt"]
    with pytest.raises(ValueError, match="cannot be read: KeyError\\('wrt'\\)"):
        read_task(message, tasks[0].images)
