"""Pictures of how finite networks were trained."""

import os
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes

from stillhouse.analysis.drawing import INK, OTHER, OWN, clean, save, two_charts
from stillhouse.analysis.train_result import SeedResult, TrainResult

_COLOURS = (OWN, INK, "#b5651d", "#3f7f4f", OTHER)


def training_curves(results: Mapping[str, TrainResult], path: str | os.PathLike[str]) -> None:
    """Draw loss and test accuracy over the steps, of every seed on every set.

    Where the test images were predicted at the end alone, a dot stands there.

    Args:
        results: by the names of the sets, the first one in the colour of our own.
        path: the file to write, `.png`, `.pdf` or `.svg`.

    Raises:
        ValueError: if the name ends otherwise.
        OSError: if the file cannot be written.
    """
    figure, left, right = two_charts()
    for i, (name, result) in enumerate(results.items()):
        for j, run in enumerate(result.runs):
            _draw(left, right, run, _COLOURS[i % len(_COLOURS)], name if j == 0 else None)
    left.set(title="training loss", xlabel="step", yscale="log")
    right.set(title="test accuracy", xlabel="step")
    clean(left)
    clean(right)
    save(figure, path)


def _draw(left: Axes, right: Axes, run: SeedResult, colour: str, label: str | None) -> None:
    points = [(point.step, point.loss) for point in run.curve]
    left.plot(*zip(*points, strict=True), color=colour, linewidth=0.8, label=label)
    tested = [(p.step, p.test_accuracy) for p in run.curve if p.test_accuracy is not None]
    if tested:
        style: dict[str, Any] = {"marker": "o", "markersize": 3.5, "linewidth": 0.8}
        right.plot(*zip(*tested, strict=True), color=colour, label=label, **style)
