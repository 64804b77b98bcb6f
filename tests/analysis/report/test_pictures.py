import io

import numpy as np
import pytest
from PIL import Image

from stillhouse.analysis.report.pictures import gallery, in_words, sheet, shown_of_each_class


def opened(png):
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture)


def images(count, shape=(6, 5, 3)):
    return np.random.default_rng(0).random((count, *shape))


def test_a_png_has_the_pixels():
    pixels = images(4)
    shown = gallery(pixels, None, np.eye(4), list("abcd"))
    for cell, image in zip(shown.cells, pixels, strict=True):
        assert cell.before is None
        np.testing.assert_array_equal(opened(cell.after), np.round(image * 255))


def test_bars_lie_on_one_scale_within_their_room():
    labels = np.array([[0.5, -0.25], [0.1, 1.0]])
    shown = gallery(images(2), images(2), labels, ["a", "b"])
    assert shown.zero == pytest.approx(20) and shown.named
    first, second = (cell.bars for cell in shown.cells)
    assert [(bar.left, bar.width) for bar in first] == [(20, 40), (0, 20)]
    assert [(bar.left, bar.width) for bar in second] == [(20, 8), (20, 80)]
    assert [bar.is_largest for bar in (*first, *second)] == [True, False, False, True]
    assert [cell.title for cell in shown.cells] == ["a", "b"]


@pytest.mark.parametrize(
    ("count", "classes", "shown"), [(100, 10, 100), (500, 10, 100), (500, 100, 100), (101, 2, 100)]
)
def test_large_sets_are_shown_in_part_as_many_of_each_class(count, classes, shown):
    labels = np.eye(classes)[np.arange(count) * classes // count]
    chosen = shown_of_each_class(labels)
    assert len(chosen) == shown == len(set(chosen)) and chosen == sorted(chosen)
    counts = np.bincount(labels[chosen].argmax(axis=1), minlength=classes)
    assert counts.max() - counts.min() <= 1


def test_large_images_are_made_smaller_and_it_is_told():
    shown = gallery(images(2, (300, 200, 3)), None, np.eye(2), ["a", "b"])
    assert shown.shrunk == 128
    assert opened(shown.cells[0].after).shape == (128, 85, 3)
    assert gallery(images(2), None, np.eye(2), ["a", "b"]).shrunk is None


def test_a_label_in_words_begins_with_its_largest_entries():
    assert in_words(np.array([0.1, 0.62, -0.3, 0.21]), ["a", "cat", "c", "dog"]) == (
        "cat +0.62, dog +0.21, a +0.10"
    )


@pytest.mark.parametrize("count", [1, 7, 10, 30, 500])
@pytest.mark.parametrize("shape", [(8, 8), (6, 5, 3), (100, 60)])
def test_a_sheet_holds_every_image(count, shape):
    pixels = 0.1 + 0.8 * images(count, shape)
    found = opened(sheet(pixels))
    times = max(48 // max(shape[:2]), 1)
    h, w = shape[0] * times, shape[1] * times
    columns = (found.shape[1] + 2) // (w + 2)
    for i in range(count):
        top, left = i // columns * (h + 2), i % columns * (w + 2)
        corner = found[top : top + h : times, left : left + w : times]
        np.testing.assert_array_equal(corner, np.round(pixels[i] * 255))
    assert found.size < 3 * 8000 * 8000
