"""What a report says, as files: pictures, and one page that holds them all."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stillhouse.analysis.drawing import shown_pixels
from stillhouse.analysis.report.charts import (
    Chart,
    accuracy_chart,
    histogram_chart,
    learning_charts,
    matrix_chart,
    step_size_chart,
)
from stillhouse.analysis.report.krr import KrrTable
from stillhouse.analysis.report.measures import (
    correlation,
    label_covariance,
    pixel_histogram,
    some_images,
)
from stillhouse.analysis.report.networks import Networks
from stillhouse.analysis.report.page import render
from stillhouse.analysis.report.pictures import gallery, sheet
from stillhouse.analysis.report.provenance import provenance
from stillhouse.analysis.steps import steps_of
from stillhouse.data.dataset import Dataset
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.sampling import rng_for


@dataclasses.dataclass(frozen=True)
class Command:
    """A score, and the command that computes it again.

    Attributes:
        what: the score.
        value: it.
        command: the command; None where there is none, for the reason in `why`.
        why: what the command does beside it, or why there is none.
    """

    what: str
    value: str
    command: str | None
    why: str = ""


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """A part that the report lacks.

    Attributes:
        why: the reason, in a sentence.
        command: gives it; None where nothing does.
    """

    why: str
    command: str | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Contents:
    """What a report says.

    Attributes:
        name: what the set is called.
        distilled: the set, with the transform by which its images are shown.
        class_names: of the label columns.
        pixel_range: the scale of real pixels; None where it is not known.
        before: the images that the run started from, in the kernel's space, or why they are
            missing.
        dataset: real images; None where there are none.
        metrics: the values of each step, or why they are missing.
        baselines_missing: why there are no sets of the same size to compare with; empty if there
            are.
        krr: what kernel ridge regression gives, or why it is missing.
        krr_commands: by the name of a kernel, the command that scores the set under it on all test
            images; for one that was left out, the command that makes this report with it.
        networks: what finite networks give, or why they are missing.
        scores: of the card, each with its command.
        again: the command that makes this report.
        notes: what a reader should know before anything else.
    """

    name: str
    distilled: DistilledSet
    class_names: tuple[str, ...]
    pixel_range: tuple[float, float] | None
    before: np.ndarray | LeftOut
    dataset: Dataset | None
    metrics: Sequence[Mapping[str, Any]] | LeftOut
    baselines_missing: str
    krr: KrrTable | LeftOut
    krr_commands: Mapping[str, str]
    networks: Networks | LeftOut
    scores: Sequence[Command]
    again: str
    notes: Sequence[str] = ()

    @functools.cached_property
    def raw_images(self) -> np.ndarray:
        """The distilled images in the dataset's own pixels, float32 `[s, h, w, c]`."""
        return self.distilled.original_images()

    @functools.cached_property
    def raw_before(self) -> np.ndarray | None:
        """The images that the run started from, as `raw_images`; None where they are missing."""
        if isinstance(self.before, LeftOut):
            return None
        transform = self.distilled.transform
        return self.before if transform is None else transform.invert(self.before)

    @functools.cached_property
    def covariance(self) -> np.ndarray:
        """Of the label columns, float64 `[k, k]`."""
        return label_covariance(self.distilled.labels)


def report_files(contents: Contents, stem: str) -> dict[str, bytes]:
    """Return the files of a report by their names: pictures, then the page that holds them all.

    Args:
        contents: what to say.
        stem: the name of the page without its suffix, with which every name begins: beside
            `report.html` there is `report-after.png`.
    """
    after = shown_pixels(contents.raw_images, contents.pixel_range)
    before = contents.raw_before
    sheets = {"after": sheet(after)}
    if before is not None:
        before = shown_pixels(before, contents.pixel_range)
        sheets["before"] = sheet(before)
    charts = _charts(contents)
    labels, names = contents.distilled.labels, contents.class_names
    html = render(
        contents=contents,
        summary=_summary(contents),
        figures=_figures(contents),
        gallery=gallery(after, before, labels, names),
        paired=before is not None,
        sheets=sheets,
        charts={chart.name: chart for chart in charts},
        correlation=_correlation_table(contents),
        krr=None if isinstance(contents.krr, LeftOut) else contents.krr,
        networks=None if isinstance(contents.networks, LeftOut) else contents.networks,
        provenance=provenance(contents.distilled),
    )
    pictures = {**sheets, **{chart.name: chart.png for chart in charts}}
    files = {f"{stem}-{name}.png": content for name, content in pictures.items()}
    return {**files, f"{stem}.html": html.encode()}


def _summary(contents: Contents) -> str:
    s, h, w, c = contents.distilled.images.shape
    text = f"{s} images of {h} x {w} x {c} in {contents.distilled.num_classes} classes"
    card = contents.distilled.card
    return f"{text}, distilled from {card.dataset.name} by {card.method}." if card else f"{text}."


def _figures(contents: Contents) -> list[tuple[str, str]]:
    """Return the few numbers that stand at the top."""
    card, krr = contents.distilled.card, contents.krr
    found = []
    if card is not None and "test_accuracy" in card.scores:
        found.append(("test accuracy", f"{card.scores['test_accuracy']:.1%}"))
    elif card is not None and "published_test_accuracy" in card.scores:
        found.append(("published accuracy", f"{card.scores['published_test_accuracy']:.1%}"))
    if isinstance(krr, KrrTable):
        # The set's own kernel, or the best one where that is not known or was left out.
        rows = sorted(krr.rows, key=lambda row: (not row.kernel.is_own, -row.of_the_set))
        others = [] if not rows else rows[0].accuracies.items()
        known = [
            (one.mean, name) for name, one in others if name != "distilled" and one is not None
        ]
        if known:
            accuracy, name = max(known)
            found.append((f"{name}, {rows[0].kernel.name}", f"{accuracy:.1%}"))
    s, k = len(contents.distilled.images), len(contents.class_names)
    found += [("images", str(s)), ("images per class", f"{s / k:.3g}")]
    return [(name, value.replace("%", " %")) for name, value in found]


def _charts(contents: Contents) -> list[Chart]:
    charts = [*_label_charts(contents), *_histogram_charts(contents)]
    if not isinstance(contents.metrics, LeftOut):
        charts += learning_charts(contents.metrics)
    recipe = steps_of(contents.distilled)
    if recipe is not None:
        charts.append(step_size_chart(recipe))
    if isinstance(contents.krr, KrrTable) and contents.krr.rows:
        rows = [(row.kernel.name, row.accuracies) for row in contents.krr.rows]
        title = "Test accuracy of kernel ridge regression"
        charts.append(accuracy_chart("kernels", title, rows, contents.krr.names))
    if isinstance(contents.networks, Networks):
        networks = contents.networks
        title = "Test accuracy of finite networks"
        row = ("networks", networks.accuracies)
        charts.append(accuracy_chart("networks", title, [row], list(networks.accuracies)))
    return charts


def _label_charts(contents: Contents) -> list[Chart]:
    covariance = contents.covariance
    size = f"over the {len(contents.distilled.labels)} images, {contents.distilled.num_classes}"
    return [
        matrix_chart(
            "label-covariance",
            "Covariance of the labels",
            f"Covariance of the label columns {size} classes by as many.",
            covariance,
            contents.class_names,
            unit=False,
        ),
        matrix_chart(
            "label-correlation",
            "Correlation of the labels",
            f"Correlation of the label columns {size} classes by as many. {_strongest(contents)}",
            correlation(covariance),
            contents.class_names,
            unit=True,
        ),
    ]


def _strongest(contents: Contents) -> str:
    matrix = np.tril(correlation(contents.covariance), -1)
    names = contents.class_names
    high, low = (np.unravel_index(at, matrix.shape) for at in (matrix.argmax(), matrix.argmin()))
    return (
        f"Lowest: {names[low[0]]} with {names[low[1]]}, {matrix[low]:+.2f}; "
        f"highest: {names[high[0]]} with {names[high[1]]}, {matrix[high]:+.2f}."
    )


def _correlation_table(contents: Contents) -> list[list[str]] | None:
    """Return the correlations as text, if there are few enough classes to read them."""
    if contents.distilled.num_classes > 20:
        return None
    matrix = correlation(contents.covariance)
    return [[f"{value:+.2f}" for value in row] for row in matrix]


def _histogram_charts(contents: Contents) -> list[Chart]:
    distilled, dataset = contents.distilled, contents.dataset
    transformed = {"distilled images": distilled.images}
    original = {"distilled images": contents.raw_images}
    if contents.raw_before is not None and not isinstance(contents.before, LeftOut):
        transformed["before"] = contents.before
        original["before"] = contents.raw_before
    if dataset is not None:
        real = some_images(dataset.x_train, rng_for(0, "report histogram"))
        original["real images"] = real
        if distilled.transform is not None:
            transformed["real images"] = distilled.transform.apply(real)
    charts = [
        histogram_chart(
            "pixels-original", "Original pixels", pixel_histogram(original), "pixel value"
        )
    ]
    if distilled.transform is not None and distilled.transform.kind != "none":
        title = "Pixels as the kernel sees them"
        shown = pixel_histogram(transformed)
        charts.append(histogram_chart("pixels-transformed", title, shown, "transformed value"))
    return charts
