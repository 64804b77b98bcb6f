"""What a GPU is told of a network: levels, lanes, and blocks that fit its shared memory."""

import pytest

from stillhouse.kernels import (
    Architecture,
    AvgPool,
    Conv,
    Dense,
    Flatten,
    KernelSpec,
    Relu,
    conv,
    convnet,
    fc,
    myrtle,
)
from stillhouse.kernels.cuda.plan import make_plan

H100 = 232_448


def plan(architecture, shape=(32, 32, 3), kind="ntk", shared=H100):
    return make_plan(KernelSpec(architecture, kind), shape, shared)


def test_levels_of_a_convnet():
    levels = plan(convnet(3)).levels
    assert [level.layers for level in levels] == [2, 1, 1]
    assert [(level.band_i, level.out_i) for level in levels] == [(7, 3), (3, 1), (1, 0)]
    assert [level.pools for level in levels] == [True, True, False]
    assert levels[-1].pooled_readout
    # Eight groups of two displacements, -8 to 7, on two warps.
    assert (levels[0].first_group, levels[0].last_group, levels[0].warps) == (-4, 3, 2)


def test_scales_make_up_for_sums_and_factors():
    # Dense(2 n) of the readout aside: W^2 / 9 over the channels, four times ReLUs, sums of pools.
    scales = [level.scales for level in plan(convnet(2)).levels]
    assert scales[0] == pytest.approx((2 / 9 / 3, 2 / 9 / 4))
    assert scales[1] == pytest.approx((2 / 9 / 4 / 16,))
    assert plan(convnet(2)).readout_scale == pytest.approx(1 / (4 * 16 * 64))


@pytest.mark.parametrize(
    ("shared", "pairs"), [(H100, (2, 2)), (166_912, (1, 2)), (101_376, (1, 1))]
)
def test_blocks_shrink_with_shared_memory(shared, pairs):
    level = plan(convnet(3), shared=shared).levels[0]
    assert (level.forward_rows, level.forward_columns) == pairs
    assert level.forward_shared <= shared
    assert level.backward_shared <= shared


@pytest.mark.parametrize(
    ("architecture", "shape", "reason"),
    [
        (convnet(1, window=(5, 5)), (32, 32, 3), r"Conv with the window \(5, 5\)"),
        (convnet(1, pool=(3, 3)), (32, 32, 3), r"AvgPool with the window \(3, 3\)"),
        (conv(4), (32, 32, 3), "4 convolutions before a pool"),
        (fc(1), (32, 32, 3), "without convolutions"),
        (convnet(3), (512, 512, 3), "images 512 pixels wide"),
        (convnet(3), (64, 64, 3), "images of this size: a pair takes"),
        (Architecture((AvgPool(), Conv(), Relu(), Flatten(), Dense())), (8, 8, 1), "pools before"),
        (Architecture((Conv(), Conv(), Relu(), Flatten(), Dense())), (8, 8, 1), "no ReLU follows"),
    ],
)
def test_what_has_no_code_is_named(architecture, shape, reason):
    with pytest.raises(NotImplementedError, match=reason):
        plan(architecture, shape)


@pytest.mark.parametrize(
    "architecture", [convnet(3), convnet(prepend=False), conv(3), myrtle(5), myrtle(7), myrtle(10)]
)
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (27, 33, 3)])
def test_networks_of_the_papers_fit(architecture, shape):
    for level in plan(architecture, shape).levels:
        assert level.forward_threads <= 256
        assert level.lanes * level.pixels >= level.width
        assert level.lanes <= 32
