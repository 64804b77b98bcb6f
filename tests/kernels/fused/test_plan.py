"""Levels, bands and planes follow from the architecture."""

import itertools

import numpy as np
import pytest

from stillhouse.kernels import (
    Architecture,
    AvgPool,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    conv,
    convnet,
    fc,
    myrtle,
)
from stillhouse.kernels.fused.plan import input_pool, make_plan


def bands(plan):
    return [tuple(level) for level in plan.levels[["band_i", "band_j"]].tolist()]


@pytest.mark.parametrize(
    ("architecture", "size", "expected"),
    [
        (convnet(3), (32, 32), [(7, 7), (3, 3), (1, 1)]),
        (convnet(3), (28, 40), [(7, 7), (3, 3), (1, 1)]),
        (convnet(3), (8, 9), [(7, 7), (3, 3), (1, 1)]),
        (convnet(2, pool=(3, 1)), (20, 20), [(8, 0), (2, 0)]),
        (conv(3), (7, 5), [(0, 0)]),
        (conv(3, global_pool=True), (7, 5), [(6, 4)]),
        (myrtle(5), (32, 31), [(31, 27), (15, 13), (7, 6)]),
        (convnet(2, global_pool=True), (8, 8), [(7, 7), (3, 3)]),
    ],
)
def test_bands_are_found_by_walking_back(architecture, size, expected):
    assert bands(make_plan(architecture, (*size, 1))) == expected


def test_variances_need_nothing_that_only_the_readout_needs():
    plan = make_plan(convnet(3), (32, 32, 3), variances_only=True)
    assert bands(plan) == [(3, 3), (1, 1), (0, 0)]


def test_every_plane_has_room_of_its_own():
    plan = make_plan(myrtle(5), (8, 12, 1))
    level = plan.levels[0]
    radii = level["out_i"], level["out_j"]
    planes = iter(plan.planes[level["out_planes"] :])
    end = level["out_start"]
    for di, dj in itertools.product(*(range(-r, r + 1) for r in radii)):
        assert next(planes) == end
        end += (level["out_height"] - abs(di)) * (level["out_width"] - abs(dj))
    assert end == level["out_end"] == plan.levels[1]["out_start"]
    # Every pair of pixels once, no more.
    assert level["out_end"] - level["out_start"] == (4 * 6) ** 2


def test_phases_are_the_cells_that_brute_force_finds():
    plan = make_plan(convnet(2, pool=(2, 3)), (8, 11, 1))
    level = plan.levels[0]
    k, cells = 3, 11 // 3
    records = iter(plan.phases[level["phases"] :])
    for dj in range(-level["band_j"], level["band_j"] + 1):
        for phase in range(k):
            record = next(records)
            columns = [j for j in range(phase, 11, k) if 0 <= j + dj < 11]
            expected = {
                (j // k, (j + dj) // k - j // k)
                for j in columns
                if j // k < cells
                and (j + dj) // k < cells
                and abs((j + dj) // k - j // k) <= level["out_j"]
            }
            found = {(c, record["shift"]) for c in range(record["start"], record["end"])}
            assert found == expected


def test_pools_in_a_row_are_one_and_those_before_the_network_are_not_a_level():
    architecture = Architecture(
        (AvgPool((2, 1)), AvgPool((1, 3)), Conv(), AvgPool(), AvgPool((1, 2)), Flatten(), Dense())
    )
    assert input_pool(architecture, 9, 12) == (2, 3)
    plan = make_plan(architecture, (4, 4, 1))
    assert plan.levels[["pool_i", "pool_j"]].tolist() == [(2, 4)]
    assert input_pool(Architecture((AvgPool(), GlobalAvgPool(), Dense())), 9, 7) == (9, 7)
    assert input_pool(fc(1), 9, 7) == (1, 1)


def test_factors_left_out_are_made_up_for():
    plan = make_plan(convnet(2, window=(3, 5), pool=(2, 3), W_std=2.0), (8, 9, 3))
    expected = [4 / 15 / 3, 4 / 15, 4 / 15 / 36]
    np.testing.assert_allclose(plan.layers["scale"], expected, rtol=1e-6)
    assert plan.readout_scale == pytest.approx(1 / 36 / 2)


@pytest.mark.parametrize(
    ("architecture", "side", "bound"),  # as FusedKernel says
    [
        (myrtle(10), 32, 18e6),
        (convnet(3), 32, 18e6),
        (conv(8), 32, 18e6),
        (convnet(3), 64, 64e6),
        (convnet(3, global_pool=True), 64, 286e6),
        (myrtle(5), 64, 286e6),
    ],
)
def test_scratch_is_within_what_is_said(architecture, side, bound):
    plan = make_plan(architecture, (side, side, 3))
    forward_and_cotangents = 4 * plan.pooled_rows + plan.work_rows
    assert forward_and_cotangents * 64 <= bound
