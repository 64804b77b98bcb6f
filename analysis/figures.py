"""Pictures of distilled sets and of how they were learned."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from stillhouse.analysis.drawing import (
    INK,
    OTHER,
    OWN,
    check_format,
    clean,
    save,
    short,
    shown_pixels,
    two_charts,
)
from stillhouse.analysis.layout import Grid, grid_for
from stillhouse.data.distilled import DistilledSet

_MOST_BARS = 256  # beside or beneath one image, which is no more pixels wide


def image_grid(distilled: DistilledSet, path: str | os.PathLike[str]) -> None:
    """Draw every image of a set in its original colours, with its label as bars.

    A title names the class where the label is largest. The bars have one scale in the whole
    picture: to the right or up is positive. Up to 20 images the bars stand beside them, each with
    the name of its class; beyond that they stand beneath, in the order of the classes. Of more
    classes than there is room for, one bar stands for several. Pixels are shown on the scale of the
    real images, clipped; where that is not known, on the set's own.

    Args:
        distilled: the set; without a transform its images are drawn as they are.
        path: the file to write, `.png`, `.pdf` or `.svg`.

    Raises:
        ValueError: if the name ends otherwise.
        OSError: if the file cannot be written.
    """
    check_format(path)
    pixels = _displayed(distilled)
    s, h, w = pixels.shape[:3]
    names = class_names(distilled)
    bar_names = [short(name, 12) for name in names] if len(names) <= 20 else []
    longest = max(map(len, bar_names), default=0)
    grid = grid_for(s, len(names), ratio=h / w, name_length=longest)
    figure = Figure(figsize=grid.size_inches)
    figure.suppressComposite = True  # Where there are no pixels, images keep their own.
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    for i in range(s):
        x, y = grid.corner(i)
        extent = (x, x + 1, y + h / w, y)  # y runs down, as rows do
        colours: dict[str, Any] = {} if pixels.ndim == 4 else {"cmap": "gray", "vmin": 0, "vmax": 1}
        axes.imshow(pixels[i], extent=extent, interpolation="nearest", **colours)
        name = names[int(distilled.labels[i].argmax())]
        title = short(name, 14)
        axes.text(x, y - 0.04, title, size=grid.font, color=INK, va="bottom", parse_math=False)
    _draw_bars(axes, grid, distilled.labels, bar_names)
    axes.set(xlim=(0, grid.width), ylim=(grid.height, 0), aspect="equal")
    axes.axis("off")
    save(figure, path)


def curves(metrics: Sequence[Mapping[str, Any]], path: str | os.PathLike[str]) -> None:
    """Draw the loss, and the accuracies on target batches and on the test images, over steps.

    Args:
        metrics: the values of each step, with "step" and any of "loss", "accuracy",
            "test_accuracy"; see `stillhouse.server.read_metrics`.
        path: the file to write, `.png`, `.pdf` or `.svg`.

    Raises:
        ValueError: if the name ends otherwise.
        OSError: if the file cannot be written.
    """
    figure, left, right = two_charts()
    draw_loss(left, metrics)
    draw_accuracy(right, metrics)
    save(figure, path)


def draw_loss(axes: Axes, metrics: Sequence[Mapping[str, Any]]) -> None:
    """Draw the loss over steps; `metrics` is that of `curves`."""
    _plot(axes, metrics, "loss", "train batch", color=OWN, linewidth=1)
    axes.set(title="loss", xlabel="step", yscale="log")
    clean(axes)


def draw_accuracy(axes: Axes, metrics: Sequence[Mapping[str, Any]]) -> None:
    """Draw the accuracies over steps; `metrics` is that of `curves`."""
    _plot(axes, metrics, "accuracy", "train batch", color=OTHER, linewidth=1)
    _plot(axes, metrics, "test_accuracy", "test", color=OWN, marker="o", markersize=3.5)
    axes.set(title="accuracy", xlabel="step")
    clean(axes)


def _plot(
    axes: Axes, metrics: Sequence[Mapping[str, Any]], name: str, label: str, **style: Any
) -> None:
    points = [(values["step"], values[name]) for values in metrics if name in values]
    if points:
        axes.plot(*zip(*points, strict=True), label=label, **style)


def _displayed(distilled: DistilledSet) -> np.ndarray:
    """Return the images as `[s, h, w]` or `[s, h, w, 3]` in 0..1."""
    known = distilled.transform is not None and distilled.card is not None
    pixel_range = distilled.card.dataset.pixel_range if known and distilled.card else None
    return shown_pixels(distilled.original_images(), pixel_range)


def class_names(distilled: DistilledSet) -> tuple[str, ...]:
    """Return the names of the label columns; their numbers where the set does not say."""
    if distilled.card is not None:
        return distilled.card.dataset.class_names
    return tuple(str(i) for i in range(distilled.num_classes))


def _seen(labels: np.ndarray) -> np.ndarray:
    """Return labels of so many classes as can be told apart: of several, the farthest from zero."""
    if labels.shape[1] <= _MOST_BARS:
        return labels
    edges = np.linspace(0, labels.shape[1], _MOST_BARS, endpoint=False).astype(int)
    high = np.maximum.reduceat(labels, edges, axis=1)
    low = np.minimum.reduceat(labels, edges, axis=1)
    return np.where(high >= -low, high, low)


def _draw_bars(axes: Axes, grid: Grid, labels: np.ndarray, names: Sequence[str]) -> None:
    scale = max(float(np.abs(labels).max()), 1e-12)
    low = min(float(labels.min()) / scale, 0.0)
    high = max(float(labels.max()) / scale, 0.0)
    boxes, colours, zeros = [], [], []
    for i, label in enumerate(_seen(labels)):
        # Along a bar: from `low` to `high`; across: from class to class.
        along = (label / scale - low) / (high - low)
        zero = -low / (high - low)
        own = int(label.argmax())
        for j, value in enumerate(along):
            across = ((j + 0.1) / len(label), (j + 0.9) / len(label))
            boxes.append(grid.bar_box(i, across, (zero, float(value))))
            colours.append(OWN if j == own else OTHER)
        zeros.append(grid.bar_box(i, (0.0, 1.0), (zero, zero)))
        for j, name in enumerate(names if grid.detailed else ()):
            x, y = grid.bar_name(i, (j + 0.5) / len(names))
            size = grid.font * 0.7
            axes.text(x, y, name, size=size, color=INK, ha="right", va="center", parse_math=False)
    axes.add_collection(PolyCollection(boxes, facecolors=colours, edgecolors="none"))
    axes.add_collection(PolyCollection(zeros, facecolors="none", edgecolors=INK, linewidths=0.4))
