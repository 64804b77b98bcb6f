import itertools

import pytest

from stillhouse.analysis.layout import grid_for

SIZES = [(1, 2), (2, 2), (7, 7), (10, 10), (20, 10), (30, 10), (100, 10), (500, 10), (100, 100)]


def box(grid, index, bars):
    """The corners of an image with its bars."""
    x, y = grid.corner(index)
    right, bottom = x + 1, y + grid.ratio
    for across in ((0.0, 0.1), (0.9, 1.0)) if bars else ():
        for x_bar, y_bar in grid.bar_box(index, across, (0.0, 1.0)):
            right, bottom = max(right, x_bar), max(bottom, y_bar)
    return x, y, right, bottom


@pytest.mark.parametrize(("images", "classes"), SIZES)
@pytest.mark.parametrize("ratio", [1.0, 0.5, 2.0])
def test_nothing_overlaps_and_all_is_within_the_picture(images, classes, ratio):
    grid = grid_for(images, classes, ratio=ratio, name_length=8)
    boxes = [box(grid, i, bars=True) for i in range(images)]
    for left, top, right, bottom in boxes:
        assert left > 0 and top > 0 and right < grid.width and bottom < grid.height
    for a, b in itertools.combinations(boxes[: 2 * grid.columns + 2], 2):
        assert a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]


@pytest.mark.parametrize(("images", "classes"), SIZES)
def test_bars_are_beside_few_images_and_beneath_many(images, classes):
    grid = grid_for(images, classes, name_length=8)
    (x, y), corners = grid.corner(0), grid.bar_box(0, (0.0, 1.0), (0.0, 1.0))
    if images <= 20:
        assert min(corner[0] for corner in corners) > x + 1
    else:
        assert min(corner[1] for corner in corners) > y + 1


@pytest.mark.parametrize(("images", "columns"), [(100, 10), (500, 25), (200, 20)])
def test_a_row_holds_one_class(images, columns):
    grid = grid_for(images, 10)
    assert grid.columns == columns
    assert (images // 10) % grid.columns == 0


@pytest.mark.parametrize(("images", "classes"), SIZES)
def test_the_picture_has_a_sensible_size(images, classes):
    width, height = grid_for(images, classes, name_length=8).size_inches
    assert 1 < width < 25 and 1 < height < 25
