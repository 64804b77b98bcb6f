import jax
import numpy as np
import pytest

from stillhouse.kernels import KernelSpec, conv, convnet
from stillhouse.kernels.xla import XlaKernel, backend, memory

SHAPE = (8, 8, 1)


def test_a_block_takes_a_part_of_a_model_s_memory(monkeypatch):
    found = []
    for total in (2**33, 2**36, None):
        monkeypatch.setattr(memory, "model_bytes", lambda total=total: total)
        found.append(memory.block_bytes())
    assert found == [2**30, 2**32, 2**32]


def test_where_it_is_small_blocks_are_smaller_and_as_right(monkeypatch):
    x = np.random.default_rng(0).normal(size=(6, *SHAPE)).astype(np.float32)
    spec = KernelSpec(convnet(1))
    whole = XlaKernel(spec, threads=1)
    expected = whole.block(x, x), whole.gram_vjp(x, np.ones((6, 6), np.float32))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    one = memory.pair_bytes(spec.architecture, SHAPE[:2])
    monkeypatch.setattr(backend, "block_bytes", lambda: 4 * one + 1)
    sizes = set()
    sub_blocks = backend.sub_blocks
    monkeypatch.setattr(
        backend, "sub_blocks", lambda n1, n2, size: sizes.add(size) or sub_blocks(n1, n2, size)
    )
    small = XlaKernel(spec, threads=4)
    found = small.block(x, x), small.gram_vjp(x, np.ones((6, 6), np.float32))
    assert sizes == {(1, 4)}
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def says_memory():
    """Whether JAX says what memory a program takes: the oldest say None or 0, whatever it is."""
    program = jax.jit(lambda x: jax.numpy.cumsum(jax.numpy.sort(x)) @ jax.numpy.sort(-x))
    analysis = program.lower(np.zeros(1000, np.float32)).compile().memory_analysis()
    return bool(getattr(analysis, "temp_size_in_bytes", None))


@pytest.mark.parametrize(
    "architecture", [conv(1), conv(1, global_pool=True), convnet(2), convnet(1, global_pool=True)]
)
def test_a_compiled_block_takes_no_more_than_is_counted(monkeypatch, architecture):
    if not says_memory():
        pytest.skip("this JAX does not say what memory a program takes")
    lanes, bytes_of = 8, []

    def measured(function):
        def call(*arguments):
            analysis = jax.jit(function).lower(*arguments).compile().memory_analysis()
            bytes_of.append(analysis.temp_size_in_bytes)
            return function(*arguments)

        return call

    monkeypatch.setattr(backend, "_MAX_LANES", lanes)
    kernel = XlaKernel(KernelSpec(architecture), threads=1)
    # The one that takes the most.
    listed = kernel._listed_pairs
    kernel._listed_pairs = listed._replace(backward=measured(listed.backward))
    x = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype(np.float32)
    kernel.gram_vjp(x, np.ones((4, 4), np.float32))
    counted = lanes * memory.pair_bytes(architecture, SHAPE[:2])
    assert max(bytes_of) <= counted
    assert max(bytes_of) > counted / 8  # Nor is much more counted than it takes.
