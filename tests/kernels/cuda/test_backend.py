"""The GPU's loops, emulated: right for every kind of level, under any order of threads."""

import logging

import numpy as np
import pytest

from stillhouse.kernels import (
    Architecture,
    AvgPool,
    Conv,
    Dense,
    GlobalAvgPool,
    KernelSpec,
    Relu,
    conv,
    convnet,
    fc,
    kernel,
)
from stillhouse.kernels.cuda import missing_reason

_THREE_LAYERS = Architecture(
    (*(Conv(), Relu()) * 3, AvgPool(), Conv(), Relu(), GlobalAvgPool(), Dense())
)
# Small images that yet have: one layer, two and three of them; bands cut into several warps' parts;
# an odd height or width; no pool, and a global one.
NETWORKS = {
    "convnet": (convnet(2), (8, 9, 2)),
    "convnet3": (convnet(1, prepend=False), (7, 6, 1)),
    "two parts": (convnet(2), (4, 40, 1)),
    "no pool": (conv(2), (5, 6, 3)),
    "global pool": (convnet(1, global_pool=True), (6, 7, 1)),
    "three layers": (_THREE_LAYERS, (6, 5, 1)),
}


def relative_error(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, "ntk") for name in NETWORKS), ("convnet3", "nngp"), ("no pool", "nngp")],
)
def test_blocks_and_gradients_are_those_of_the_fused_loops(emulated, fused, images, name, kind):
    architecture, shape = NETWORKS[name]
    mine, theirs = emulated(architecture, kind), fused(architecture, kind)
    x1, x2 = images(3, shape), images(2, shape, seed=1)
    cotangent = images(1, (3, 2, 1), seed=2)[0, ..., 0]
    assert relative_error(mine.block(x1, x2), theirs.block(x1, x2)) < 1e-6
    for got, wanted in zip(mine.vjp(x1, x2, cotangent), theirs.vjp(x1, x2, cotangent), strict=True):
        assert relative_error(got, wanted) < 1e-5


def test_gram_knows_that_images_meet_themselves(emulated, fused, images):
    mine, theirs = emulated(convnet(1)), fused(convnet(1))
    x, cotangent = images(3, (6, 6, 1)), images(1, (3, 3, 1), seed=2)[0, ..., 0]
    assert relative_error(mine.gram(x), theirs.gram(x)) < 1e-6
    assert relative_error(mine.gram_vjp(x, cotangent), theirs.gram_vjp(x, cotangent)) < 1e-5


def test_equal_images_on_both_sides(emulated, images):
    x = images(3, (6, 6, 1))
    exact = kernel(KernelSpec(convnet(1)), backend="fused", threads=1)
    mine = emulated(convnet(1))
    cotangent = np.ones((3, 2), np.float32)
    assert relative_error(mine.block(x, x[:2]), exact.block(x, x[:2])) < 2e-6
    wanted = exact.vjp(x, x[:2], cotangent, wrt=(0,))[0]
    assert relative_error(mine.vjp(x, x[:2], cotangent, wrt=(0,))[0], wanted) < 1e-4


def results(kernel, images):
    x1, x2 = images(3, (4, 40, 1)), images(4, (4, 40, 1), seed=1)
    gradient = kernel.vjp(x1, x2, np.ones((3, 4), np.float32), wrt=(0,))[0]
    return kernel.block(x1, x2).tobytes(), gradient.tobytes()


def test_any_order_of_threads_gives_the_same_bits(emulated, images):
    found = {results(emulated(convnet(2), seed=seed), images) for seed in range(3)}
    assert len(found) == 1


def test_the_memory_between_levels_changes_no_bit(emulated, images):
    found = {
        results(emulated(convnet(2), scratch_bytes=scratch), images) for scratch in (1, 1 << 30)
    }
    assert len(found) == 1


@pytest.mark.parametrize("shared_bytes", [13_000, 101_376])
def test_blocks_of_fewer_pairs_on_devices_of_less_shared_memory(
    emulated, fused, images, shared_bytes
):
    x1, x2 = images(3, (4, 40, 1)), images(3, (4, 40, 1), seed=1)
    mine = emulated(convnet(2), shared_bytes=shared_bytes)
    assert relative_error(mine.block(x1, x2), fused(convnet(2)).block(x1, x2)) < 1e-6


@pytest.mark.parametrize(
    "barrier",
    [
        # Maps are read before all of them have come.
        "                      V::kForwardThreads, second_maps);\n  __syncthreads();",
        # Both warps of a pair add to a gradient in any order.
        "if (V::kWarps > 1 && warp == 1) wait_for_warps(barrier, 64);",
    ],
)
def test_a_missing_barrier_is_caught(emulated, images, barrier):
    kept = barrier.rpartition("\n")[0]
    broken = [(barrier, kept)]
    if not kept:  # The warp that waits no more is not to be waited for.
        broken.append(("if (V::kWarps > 1 && warp == 0) wait_for_warps(barrier, 64);", ""))
    right = results(emulated(convnet(2)), images)
    assert any(
        is_wrong(emulated(convnet(2), seed=seed, edit=broken), images, right) for seed in range(3)
    )


def is_wrong(kernel, images, right):
    try:
        return results(kernel, images) != right
    except FloatingPointError:  # What stood in the memory before was not finite.
        return True


def test_what_the_loops_do_not_know_is_left_to_xla_and_said(emulated, images, caplog):
    mine = emulated(convnet(1, window=(5, 5)))
    x = images(2, (6, 6, 1))
    with caplog.at_level(logging.WARNING):
        found = mine.gram(x)
    assert "cannot compute Conv with the window (5, 5)" in caplog.text
    assert "taking the slower xla" in caplog.text
    exact = kernel(KernelSpec(convnet(1, window=(5, 5))), backend="xla").gram(x)
    np.testing.assert_array_equal(found, exact)


def test_images_are_checked(emulated, images):
    mine = emulated(convnet(1))
    with pytest.raises(ValueError, match=r"images \[n, h, w, c\]"):
        mine.block(np.zeros((2, 6)), images(2, (6, 6, 1)))
    with pytest.raises(ValueError, match="too small"):
        mine.gram(images(2, (1, 6, 1)))


@pytest.mark.skipif(missing_reason() is None, reason="there is a GPU here")
def test_a_machine_without_a_gpu_says_so():
    with pytest.raises(ValueError, match="cuda backend"):
        kernel(KernelSpec(convnet(1)), backend="cuda")


@pytest.mark.parametrize("architecture", [fc(1), convnet(1)])
def test_auto_takes_no_gpu_where_there_is_none(architecture):
    assert kernel(KernelSpec(architecture)).backend == "fused"
