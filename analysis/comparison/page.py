"""The page of a comparison: one HTML file that needs no other, no network and no script."""

import functools

import jinja2
import numpy as np
from matplotlib.axes import Axes

from stillhouse import __version__
from stillhouse.analysis.comparison.table import Comparison, percent, seconds
from stillhouse.analysis.drawing import short
from stillhouse.analysis.report.charts import Chart, clean_with_legend_above, drawn, mark
from stillhouse.analysis.report.page import data_uri, template

_FILES = {"page.html": "comparison", "head.html": "report", "page.css": "report"}


def comparison_page(comparison: Comparison, command: str) -> str:
    """Return the page as HTML; every value is escaped.

    Args:
        comparison: the table.
        command: what made it.
    """
    charts = [_grid(comparison)]
    if any(row.contender.seconds is not None for row in comparison.rows):
        charts.insert(0, _against_time(comparison))
    return _template().render(
        comparison=comparison, charts=charts, command=command, version=__version__
    )


@functools.cache
def _template() -> jinja2.Template:
    return template(_FILES, data_uri=data_uri, accuracy=percent, seconds=seconds)


def _against_time(comparison: Comparison) -> Chart:
    """Return the accuracy by the first judge against the time to make a set."""
    judge = comparison.judges[0]
    rows = [row for row in comparison.rows if row.accuracies[judge] is not None]

    def draw(axes: Axes) -> None:
        for i, row in enumerate(row for row in rows if row.contender.seconds is not None):
            colour, marker = mark(i)
            accuracy = row.accuracies[judge]
            assert accuracy is not None
            axes.errorbar(
                [max(row.contender.seconds or 0.0, 1.0)],
                [100 * accuracy.mean],
                yerr=[100 * (accuracy.deviation or 0.0)],
                fmt=marker,
                color=colour,
                capsize=2,
                label=short(row.contender.name, 22),
            )
        for row in rows:
            accuracy = row.accuracies[judge]
            if row.contender.seconds is None and accuracy is not None:
                axes.axhline(100 * accuracy.mean, color="#888888", linewidth=1, linestyle=":")
                axes.annotate(
                    short(row.contender.name, 22),
                    (0.0, 100 * accuracy.mean),
                    xycoords=("axes fraction", "data"),
                    size=7.5,
                    va="bottom",
                    parse_math=False,
                )
        axes.set(xscale="log", xlabel="seconds to make the set", ylabel=f"{judge}, %")
        clean_with_legend_above(axes)

    title = f"Accuracy by {judge} against the time to make a set"
    parts = [
        f"{row.contender.name}: {percent(row.accuracies[judge])} % after "
        f"{seconds(row.contender.seconds)} s"
        for row in rows
    ]
    return Chart("time", drawn(3.6, draw), title, f"{title}. {'; '.join(parts)}.")


def _grid(comparison: Comparison) -> Chart:
    """Return the accuracies of all sets by all judges, as colours and numbers."""
    means = np.full((len(comparison.rows), len(comparison.judges)), np.nan)
    for i, row in enumerate(comparison.rows):
        for j, judge in enumerate(comparison.judges):
            accuracy = row.accuracies[judge]
            means[i, j] = np.nan if accuracy is None else 100 * accuracy.mean

    def draw(axes: Axes) -> None:
        axes.imshow(means, cmap="Blues", aspect="auto", vmin=0, vmax=100)
        names = [short(row.contender.name, 22) for row in comparison.rows]
        axes.set_yticks(range(len(names)), names, parse_math=False)
        judges = [short(judge, 14) for judge in comparison.judges]
        axes.set_xticks(range(len(judges)), judges, rotation=40, ha="right", parse_math=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for (i, j), value in np.ndenumerate(means):
            text = "-" if np.isnan(value) else f"{value:.1f}"
            dark = not np.isnan(value) and value > 55
            colour = "white" if dark else "black"
            axes.text(j, i, text, ha="center", va="center", size=8, color=colour)

    title = "Every set by every judge, in percent"
    parts = [
        f"{row.contender.name}: "
        + ", ".join(f"{judge} {percent(row.accuracies[judge])}" for judge in comparison.judges)
        for row in comparison.rows
    ]
    height = 1.2 + 0.32 * len(comparison.rows)
    return Chart("grid", drawn(height, draw), title, f"{title}. {'; '.join(parts)}.")
