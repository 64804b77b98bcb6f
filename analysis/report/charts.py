"""The charts of a report, each small enough to be read on a telephone.

A chart is about 4.4 inches wide with letters of 9 points: on a page of 400 pixels they are 11
pixels high. Series differ by colour and by marker or hatch; the colours are those of Okabe and
Ito, which the colour-blind tell apart.
"""

import dataclasses
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from stillhouse.analysis.drawing import FAINT, INK, clean, png_of, rendered, short
from stillhouse.analysis.figures import draw_accuracy, draw_loss
from stillhouse.analysis.report.krr import Accuracy
from stillhouse.analysis.report.measures import Histogram
from stillhouse.analysis.steps import draw_step_sizes
from stillhouse.data.recipes import StepsRecipe

_WIDTH, _DPI = 4.4, 200
SERIES = (("#0072B2", "o"), ("#D55E00", "D"), ("#009E73", "^"), ("#CC79A7", "s"))
_STYLE = {"font.size": 9, "axes.titlesize": 10, "legend.fontsize": 8.5, "svg.fonttype": "none"}
_MOST_NUMBERS = 10  # of classes: their correlations are written into the squares
_MOST_NAMES = 20


@dataclasses.dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        name: of its file, without the suffix.
        png: the file.
        title: what it shows.
        alt: what it shows, in words.
    """

    name: str
    png: bytes
    title: str
    alt: str


def learning_charts(metrics: Sequence[Mapping[str, Any]]) -> tuple[Chart, ...]:
    """Return the loss and the accuracy over the steps; nothing where nothing was measured.

    Args:
        metrics: the values of each step, see `stillhouse.analysis.figures.curves`.
    """
    charts = []
    losses = [values["loss"] for values in metrics if "loss" in values]
    if losses:
        alt = (
            f"Loss on training batches over {metrics[-1]['step']} steps, from {losses[0]:.4g} to "
            f"{losses[-1]:.4g}."
        )
        png = drawn(2.9, lambda axes: draw_loss(axes, metrics))
        charts.append(Chart("loss", png, "Loss on training batches", alt))
    tested = [(v["step"], v["test_accuracy"]) for v in metrics if "test_accuracy" in v]
    if tested:
        alt = (
            f"Accuracy over the steps; on the test images {tested[0][1]:.1%} at step "
            f"{tested[0][0]} and {tested[-1][1]:.1%} at step {tested[-1][0]}."
        )
        png = drawn(2.9, lambda axes: draw_accuracy(axes, metrics))
        charts.append(Chart("accuracy", png, "Accuracy", alt))
    return tuple(charts)


def step_size_chart(recipe: StepsRecipe) -> Chart:
    """Return the size of each step of a recipe, a curve for each epoch."""
    sizes = recipe.rates
    alt = f"Sizes of {len(sizes)} steps, from {min(sizes):.3g} to {max(sizes):.3g}."
    png = drawn(2.9, lambda axes: draw_step_sizes(axes, recipe))
    return Chart("step-sizes", png, "Step sizes", alt)


def matrix_chart(
    name: str, title: str, alt: str, matrix: np.ndarray, names: Sequence[str], *, unit: bool
) -> Chart:
    """Return a square matrix of classes as colours: blue below zero, red above.

    Args:
        name: of the file.
        title: what it shows.
        alt: the same, for those who do not see it.
        matrix: symmetric `[k, k]`.
        names: of the k classes.
        unit: whether the scale is -1 to 1, rather than that of the largest entry.
    """
    k = len(names)
    limit = 1.0 if unit else max(float(np.abs(matrix).max()), 1e-12)

    def draw(axes: Axes) -> None:
        shown = axes.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit)
        if k <= _MOST_NAMES:
            labels = [short(text, 11) for text in names]
            upright = max(map(len, labels)) > 3
            axes.set_xticks(range(k), labels, rotation=90 if upright else 0, parse_math=False)
            axes.set_yticks(range(k), labels, parse_math=False)
        else:
            axes.set(xlabel="class", ylabel="class")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        bar = axes.figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.03)
        bar.outline.set_visible(False)  # type: ignore[operator]
        if unit and k <= _MOST_NUMBERS:
            _write_numbers(axes, matrix)

    return Chart(name, drawn(4.0, draw), title, alt)


def mark(i: int) -> tuple[str, str]:
    """Return the colour and the marker of the i-th that a chart shows: sixteen are told apart."""
    count = len(SERIES)
    return SERIES[i % count][0], SERIES[(i + i // count) % count][1]


def accuracy_chart(
    name: str,
    title: str,
    rows: Sequence[tuple[str, Mapping[str, Accuracy | None]]],
    names: Sequence[str],
) -> Chart:
    """Return accuracies as dots, a line of them for each row, with the deviation of the draws.

    Args:
        name: of the file.
        title: what it shows.
        rows: what is compared, such as kernels, with the accuracy of each set.
        names: of the sets.
    """

    def draw(axes: Axes) -> None:
        for i, series in enumerate(names):
            colour, marker = mark(i)
            found = [(y, row[series]) for y, (_, row) in enumerate(rows) if row.get(series)]
            # Side by side, so that none hides another of the same accuracy.
            shift = 0.15 * (i - (len(names) - 1) / 2)
            values = [(y + shift, one) for y, one in found if one is not None]
            axes.errorbar(
                [100 * one.mean for _, one in values],
                [y for y, _ in values],
                xerr=[100 * (one.deviation or 0.0) for _, one in values],
                fmt=marker,
                color=colour,
                markersize=8 if i == 0 else 6,
                markerfacecolor=colour if i == 0 else "white",
                markeredgewidth=1.6,
                capsize=2,
                label=series,
                zorder=3 + (i == 0),
            )
        axes.set_yticks(range(len(rows)), [short(text, 20) for text, _ in rows], parse_math=False)
        axes.set(xlabel="test accuracy, %", ylim=(len(rows) - 0.5, -0.5))
        clean_with_legend_above(axes)

    parts = [
        f"{text}: "
        + ", ".join(f"{series} {one.mean:.1%}" for series, one in row.items() if one is not None)
        for text, row in rows
    ]
    height = 1.35 + 0.5 * len(rows)
    return Chart(name, drawn(height, draw), title, f"{title}. {'; '.join(parts)}.")


def histogram_chart(name: str, title: str, histogram: Histogram, xlabel: str) -> Chart:
    """Return a histogram: the first set as a filled shape, the others as lines."""

    def draw(axes: Axes) -> None:
        for i, (series, shares) in enumerate(histogram.shares.items()):
            if series.startswith("real"):
                axes.stairs(shares, histogram.edges, fill=True, color=FAINT, label=series)
            else:
                axes.stairs(
                    shares,
                    histogram.edges,
                    color=SERIES[i % len(SERIES)][0],
                    linewidth=1.6,
                    linestyle="--" if "before" in series else "-",
                    label=series,
                )
        axes.set(xlabel=xlabel, ylabel="share of pixels", yscale="log")
        clean_with_legend_above(axes)

    middle = (histogram.edges[1:] + histogram.edges[:-1]) / 2
    parts = []
    for series, shares in histogram.shares.items():
        mean = float(shares @ middle)
        deviation = float(np.sqrt(shares @ (middle - mean) ** 2))
        parts.append(f"{series}: mean {mean:.3g}, deviation {deviation:.3g}")
    return Chart(name, drawn(2.9, draw), title, f"{title}. {'; '.join(parts)}.")


def drawn(height: float, draw: Callable[[Axes], None]) -> bytes:
    """Return a chart of so many inches as a PNG."""
    with matplotlib.rc_context(_STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        axes.set_title("")  # The page says it, in letters that grow with it.
        with warnings.catch_warnings():
            # Class names in scripts that matplotlib's font lacks: the page has them all.
            warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
            return _of_few_colours(rendered(figure, dpi=_DPI))


def _of_few_colours(png: bytes) -> bytes:
    """Return a chart in a third of the bytes: pages hold dozens, and charts few colours."""
    with Image.open(io.BytesIO(png)) as image:
        return png_of(image.convert("RGB").quantize(256))


def clean_with_legend_above(axes: Axes) -> None:
    """Clean the frame, and set the legend where it covers nothing."""
    clean(axes)
    if (legend := axes.get_legend()) is not None:
        legend.remove()
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(  # type: ignore[call-arg]
        handles, labels, loc="outside upper center", ncols=2, frameon=False
    )


def _write_numbers(axes: Axes, matrix: np.ndarray) -> None:
    for i, row in enumerate(matrix):
        for j, value in enumerate(row):
            text = "1" if value > 0.995 else f"{value:.1f}".replace("0.", ".").replace("-.0", ".0")
            colour = "white" if abs(value) > 0.6 else INK
            axes.text(j, i, text, ha="center", va="center", size=8, color=colour)
