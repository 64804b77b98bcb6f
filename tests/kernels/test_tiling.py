import numpy as np
import pytest

from stillhouse.kernels.architecture import conv, convnet, fc, myrtle
from stillhouse.kernels.spec import KernelSpec
from stillhouse.kernels.tiling import (
    covariances_per_pair,
    cross_tiles,
    gram_tiles,
    plan_tiles,
    tall_tiles,
    tile_elements,
    tiles_of_step,
)

_SIZES = [(1, 0), (1, 1), (10, 5000), (17, 300), (100, 1000), (181, 40), (500, 5000)]


@pytest.mark.parametrize("elements", [1, 256, 2877, 65536])
@pytest.mark.parametrize(("support", "targets"), _SIZES[:-1])
def test_tiles_cover_the_upper_triangle_and_all_targets_once(support, targets, elements):
    covered = {"ss": np.zeros((support, support), int), "ts": np.zeros((targets, support), int)}
    for tile in plan_tiles(support, targets, elements=elements):
        covered[tile.matrix][slice(*tile.rows), slice(*tile.cols)] += 1
        assert (tile.kind == "gram") == (tile.matrix == "ss" and tile.rows == tile.cols)
    assert (covered["ts"] == 1).all()
    # A square on the diagonal brings its lower half with it; no rectangle lies below.
    assert (covered["ss"] + covered["ss"].T >= 1).all()
    assert (np.triu(covered["ss"]) == np.triu(np.ones_like(covered["ss"]))).all()


@pytest.mark.parametrize(("support", "targets"), _SIZES)
def test_the_elements_are_those_of_the_cost_law(support, targets):
    tiles = plan_tiles(support, targets, elements=2877)
    assert sum(tile.elements for tile in tiles) == support * (support + 1) // 2 + support * targets


@pytest.mark.parametrize("elements", [256, 2877, 65536])
@pytest.mark.parametrize(("support", "targets"), _SIZES)
def test_no_tile_is_larger_than_asked(support, targets, elements):
    for tile in plan_tiles(support, targets, elements=elements):
        area = (tile.rows[1] - tile.rows[0]) * (tile.cols[1] - tile.cols[0])
        # A square of whole images may exceed its root by a part of one row.
        assert area <= elements + 2 * np.sqrt(elements)


def test_few_support_images_are_all_in_each_tile_of_several():
    tiles = cross_tiles(5000, 10)
    assert {tile.cols for tile in tiles} == {(0, 10)}
    assert 5 <= len(tiles) <= 20
    assert len(gram_tiles(10)) == 1


@pytest.mark.parametrize("elements", [300, 2877, 39_000, 10**9])
@pytest.mark.parametrize(("support", "targets"), _SIZES)
def test_tiles_that_were_asked_for_are_all_but_equal_and_cover_all_targets_once(
    support, targets, elements
):
    tiles = tall_tiles(targets, support, elements=elements)
    covered = np.zeros((targets, support), int)
    for tile in tiles:
        covered[slice(*tile.rows), slice(*tile.cols)] += 1
    assert (covered == 1).all()
    assert max((tile.elements for tile in tiles), default=0) < 1.5 * elements
    if (support, targets, elements) == (500, 5000, 39_000):
        assert min(tile.elements for tile in tiles) > 0.7 * elements


def test_fewer_bytes_move_by_tall_tiles():
    """Column images go down and their gradients come back as float32, rows go down as bytes."""

    def images(tiles):
        spans = ((tile.rows[1] - tile.rows[0], tile.cols[1] - tile.cols[0]) for tile in tiles)
        return sum(rows / 4 + 2 * columns for rows, columns in spans)

    square, tall = cross_tiles(5000, 500, elements=39_000), tall_tiles(5000, 500, elements=39_000)
    assert abs(len(square) - len(tall)) < 0.1 * len(square)
    assert images(tall) < 0.75 * images(square)


def test_a_size_that_is_asked_for_takes_the_place_of_the_kernel_s():
    spec, shape = KernelSpec(convnet()), (32, 32, 3)
    usual = plan_tiles(500, 5000, elements=tile_elements(spec, shape))
    assert tiles_of_step(spec, shape, 500, 5000) == usual
    asked = tiles_of_step(spec, shape, 500, 5000, asked=40_000)
    assert len(asked) < len(usual) // 10
    assert sum(tile.elements for tile in asked) == sum(tile.elements for tile in usual)


def test_a_tile_of_dear_elements_has_fewer():
    dear, cheap = KernelSpec(convnet()), KernelSpec(fc(1))
    assert tile_elements(dear, (32, 32, 3)) < tile_elements(dear, (16, 16, 3))
    assert tile_elements(dear, (16, 16, 3)) <= tile_elements(cheap, (32, 32, 3)) == 65536
    # Every displacement of a global pool: far dearer, but a tile keeps a useful size.
    assert tile_elements(KernelSpec(myrtle(10)), (32, 32, 3)) >= 256


def test_the_work_of_a_pair_is_that_of_its_displacement_band():
    # Two ReLUs at 8 x 8 and one each at 4 x 4 and 2 x 2, all with all pairs of pixels.
    expected = 2 * 8**4 + 4**4 + 2**4 + 8 * 8
    assert covariances_per_pair(KernelSpec(convnet()), (8, 8, 1)) == expected
    # Without pooling only d = 0 is needed.
    assert covariances_per_pair(KernelSpec(conv(3)), (8, 8, 1)) == 3 * 64 + 64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 5), "`support` must be a positive"),
        ((5, -1), "`targets` must not be negative"),
    ],
)
def test_wrong_sizes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        plan_tiles(*arguments)
    with pytest.raises(ValueError, match="`elements` must be positive"):
        plan_tiles(5, 5, elements=0)
    with pytest.raises(ValueError, match="too small"):
        tile_elements(KernelSpec(convnet()), (4, 4, 1))
