"""A set that is shown in steps: its images step by step, and the sizes of these as curves."""

import os
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stillhouse.analysis.drawing import (
    INK,
    OTHER,
    OWN,
    check_format,
    clean,
    save,
    short,
    shown_pixels,
)
from stillhouse.analysis.figures import image_grid
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.recipes import StepsRecipe

_MOST_COLUMNS = 20
_CELL, _LINE = 0.62, 0.2  # inches
_CURVES = 2.0


def steps_of(distilled: DistilledSet) -> StepsRecipe | None:
    """Return the recipe of a set whose images are shown in steps of their own; else None."""
    recipe = None if distilled.card is None else distilled.card.recipe
    return recipe if isinstance(recipe, StepsRecipe) and recipe.order else None


def rows_by_step(distilled: DistilledSet) -> np.ndarray:
    """Return the rows of all images in the order in which an epoch shows them, each once."""
    recipe, images = steps_of(distilled), len(distilled.images)
    shown = [] if recipe is None else [row for step in recipe.order for row in step]
    known = dict.fromkeys(row for row in shown if row < images)
    return np.array([*known, *(row for row in range(images) if row not in known)], np.intp)


def draw_step_sizes(axes: Axes, recipe: StepsRecipe) -> None:
    """Draw the size of each step, a curve for each epoch that has sizes of its own."""
    steps = len(recipe.order) or len(recipe.rates) // recipe.epochs
    sizes = np.reshape(recipe.rates, (recipe.epochs, steps))
    same = bool((sizes == sizes[0]).all())
    for epoch, line in enumerate(sizes[:1] if same else sizes):
        share = epoch / max(len(sizes) - 1, 1)
        label = None if same else f"epoch {epoch + 1}"
        style: dict[str, Any] = {"color": OWN, "alpha": 1 - 0.65 * share, "marker": "o"}
        axes.plot(range(1, steps + 1), line, markersize=3.5, label=label, **style)
    axes.set(title="step sizes", xlabel="step", ylim=(0, 1.08 * sizes.max()))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    clean(axes)


def draw_set(distilled: DistilledSet, path: str | os.PathLike[str]) -> None:
    """Draw a set as it is used: step by step where its recipe says so, else `image_grid`.

    Raises:
        ValueError: if the name ends otherwise than pictures do.
        OSError: if the file cannot be written.
    """
    draw = image_grid if steps_of(distilled) is None else step_grid
    draw(distilled, path)


def step_grid(distilled: DistilledSet, path: str | os.PathLike[str]) -> None:
    """Draw a set step by step: a line of images for each, with their classes, and the step sizes.

    Args:
        distilled: a set with a recipe of steps.
        path: the file to write, `.png`, `.pdf` or `.svg`.

    Raises:
        ValueError: if the name ends otherwise, or the set's images are shown in no steps.
        OSError: if the file cannot be written.
    """
    check_format(path)
    recipe = steps_of(distilled)
    if recipe is None or distilled.card is None:
        raise ValueError("this set does not say in which steps its images are shown")
    info = distilled.card.dataset
    known = info.pixel_range if distilled.transform is not None else None
    pixels = shown_pixels(distilled.original_images(), known)
    columns = min(max(map(len, recipe.order)), _MOST_COLUMNS)
    lines = [
        (step + 1, rows[start : start + columns])
        for step, rows in enumerate(recipe.order)
        for start in range(0, len(rows), columns)
    ]
    tall = _CELL * pixels.shape[1] / pixels.shape[2] + _LINE
    width, height = max(_CELL * (columns + 1), 5.0), tall * len(lines) + _CURVES
    figure = Figure(figsize=(width, height))
    figure.suppressComposite = True  # Where there are no pixels, images keep their own.
    colours: dict[str, Any] = {} if pixels.ndim == 4 else {"cmap": "gray", "vmin": 0, "vmax": 1}
    left = (width - _CELL * columns) / 2
    for line, (step, rows) in enumerate(lines):
        bottom = height - (line + 1) * tall
        for column, row in enumerate(rows):
            box = (left + column * _CELL, bottom, 0.94 * _CELL, tall - _LINE)
            axes = figure.add_axes(tuple(np.divide(box, (width, height) * 2)))
            axes.imshow(pixels[row], interpolation="nearest", aspect="auto", **colours)
            axes.axis("off")
            name = short(info.class_names[int(distilled.labels[row].argmax())], 10)
            axes.set_title(name, size=6, color=INK, pad=1.5, parse_math=False)
        middle = bottom + (tall - _LINE) / 2
        figure.text(
            (left - 0.08) / width, middle / height, str(step), size=7, color=OTHER,
            ha="right", va="center",
        )  # fmt: skip
    box = (0.6, 0.45, width - 0.8, _CURVES - 0.85)
    draw_step_sizes(figure.add_axes(tuple(np.divide(box, (width, height) * 2))), recipe)
    save(figure, path)
