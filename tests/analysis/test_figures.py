import dataclasses

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from stillhouse.analysis.figures import curves, image_grid
from stillhouse.data.card import Card, DatasetInfo
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.transforms import fit_transform


def make(images, classes, channels, *, raw=None, side=6):
    rng = np.random.default_rng(0)
    if raw is None:
        raw = rng.integers(0, 256, (images, side, side, channels)).astype(np.uint8)
    transform = fit_transform("standardise", rng.integers(0, 256, (50, *raw.shape[1:])))
    names = tuple(f"class {i}" for i in range(classes))
    info = DatasetInfo("noise", "0", names, raw.shape[1:], (0.0, 255.0))
    labels = centred_one_hot(np.arange(images) % classes, classes)
    return DistilledSet(transform.apply(raw), labels, transform, Card("kip", {}, {}, 0, info))


@pytest.mark.parametrize("channels", [1, 3, 2])
@pytest.mark.parametrize(
    ("images", "classes"), [(1, 2), (10, 10), (100, 10), (500, 10), (100, 100)]
)
def test_every_image_is_drawn(tmp_path, monkeypatch, images, classes, channels):
    drawn = []
    monkeypatch.setattr(Axes, "imshow", lambda axes, image, **options: drawn.append(image.shape))
    image_grid(make(images, classes, channels), tmp_path / "grid.png")
    assert drawn == [(6, 6, 3) if channels == 3 else (6, 6)] * images
    with Image.open(tmp_path / "grid.png") as picture:
        assert min(picture.size) > 100


def test_colours_are_those_of_the_real_images(tmp_path):
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [40, 80, 120]], np.uint8)
    raw = np.broadcast_to(colours[:, None, None, :], (4, 6, 6, 3)).copy()
    image_grid(make(4, 4, 3, raw=raw), tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as picture:
        found = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}
    for colour in colours:
        assert min(np.abs(np.subtract(list(found), colour)).max(axis=1)) <= 1


def test_a_bar_stands_for_several_of_very_many_classes(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Axes, "add_collection", lambda axes, bars: drawn.append(bars))
    labels = centred_one_hot(np.array([0, 1, 29_999]), 30_000)
    image_grid(DistilledSet(np.zeros((3, 2, 2)), labels), tmp_path / "grid.png")
    bars, _ = drawn
    lengths = np.array([np.ptp(path.vertices[:, 0]) for path in bars.get_paths()]).reshape(3, -1)
    assert lengths.shape[1] < 1000
    # The longest of each is that of its class, in its place.
    assert lengths.argmax(axis=1).tolist() == [0, 0, lengths.shape[1] - 1]


def test_pixels_beyond_the_real_ones_are_clipped(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Axes, "imshow", lambda axes, image, **options: drawn.append(image))
    distilled = make(4, 4, 1)
    image_grid(
        DistilledSet(distilled.images * 20, distilled.labels, distilled.transform, distilled.card),
        tmp_path / "grid.png",
    )
    assert np.min(drawn) == 0.0 and np.max(drawn) == 1.0


def test_a_set_of_images_and_labels_alone_can_be_drawn(tmp_path):
    rng = np.random.default_rng(0)
    image_grid(DistilledSet(rng.normal(size=(3, 5, 7, 1)), np.eye(3)), tmp_path / "grid.svg")
    assert "<svg" in (tmp_path / "grid.svg").read_text()


def test_titles_name_the_class_where_the_label_is_largest(tmp_path):
    distilled = make(3, 3, 1)
    labels = distilled.labels[[2, 0, 1]]
    image_grid(
        DistilledSet(distilled.images, labels, distilled.transform, distilled.card),
        tmp_path / "grid.svg",
    )
    figure = (tmp_path / "grid.svg").read_text()  # Text is drawn, each with a comment of itself.
    titles = [line.strip() for line in figure.splitlines() if "<!-- class" in line]
    assert titles[:3] == ["<!-- class 2 -->", "<!-- class 0 -->", "<!-- class 1 -->"]


@pytest.mark.parametrize("name", ["grid.gif", "grid", "grid.png.npz"])
def test_a_format_that_is_not_known_leaves_nothing(tmp_path, name):
    with pytest.raises(ValueError, match="must end in"):
        image_grid(make(2, 2, 1), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_curves_show_what_was_measured(tmp_path, monkeypatch):
    lines = {}
    real = Figure.savefig

    def savefig(figure, *arguments, **options):
        for axes in figure.axes:
            for line in axes.lines:
                lines[axes.get_title(), line.get_label()] = line.get_xydata().tolist()
        real(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    metrics = [
        {"step": 0, "test_accuracy": 0.1},
        {"step": 1, "loss": 0.05, "accuracy": 0.2},
        {"step": 2, "loss": 0.04, "accuracy": 0.3, "test_accuracy": 0.25},
    ]
    curves(metrics, tmp_path / "curves.png")
    assert lines == {
        ("loss", "train batch"): [[1, 0.05], [2, 0.04]],
        ("accuracy", "train batch"): [[1, 0.2], [2, 0.3]],
        ("accuracy", "test"): [[0, 0.1], [2, 0.25]],
    }
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size[0] > 1000


def test_curves_of_nothing_yet_can_be_drawn(tmp_path):
    curves([], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 0


def test_class_names_are_no_formulas(tmp_path):
    distilled = make(3, 3, 1)
    info = dataclasses.replace(distilled.card.dataset, class_names=("$\\frac{$", "$a$", "b"))
    card = dataclasses.replace(distilled.card, dataset=info)
    named = DistilledSet(distilled.images, distilled.labels, distilled.transform, card)
    image_grid(named, tmp_path / "grid.svg")
    assert "<!-- $a$ -->" in (tmp_path / "grid.svg").read_text()
