"""How sharply does the loss bend on distilled images, along a training on real ones?"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from scipy import stats

from stillhouse.analysis.report.charts import SERIES, Chart, clean_with_legend_above, drawn
from stillhouse.analysis.studies.findings import (
    Finding,
    Section,
    by_test,
    chance,
    counted,
    overall,
)
from stillhouse.analysis.studies.materials import Materials
from stillhouse.methods.programs import LossCurvature
from stillhouse.methods.tasks import Task

_CONCLUSION = "The curvature of the loss on distilled images peaks early in training, and falls."
_REAL = "real training images"


@dataclasses.dataclass(frozen=True)
class Point:
    """The loss of a network on some images, and how it bends there.

    Attributes:
        step: of the training on real images, after which.
        samples: v^T H v for random signs v, whose mean estimates the trace of the Hessian H.
        loss: the mean cross entropy.
        eigenvalue: the largest of H; None where it was not asked for.
    """

    step: int
    samples: tuple[float, ...]
    loss: float
    eigenvalue: float | None = None

    @property
    def trace(self) -> float:
        """The estimate of the trace."""
        return float(np.mean(self.samples))

    @property
    def error(self) -> float:
        """Its standard error."""
        return float(np.std(self.samples, ddof=1)) / len(self.samples) ** 0.5


@dataclasses.dataclass(frozen=True)
class Curve:
    """A set, or real images.

    Attributes:
        name: of the set.
        images: how many.
        points: along the training.
    """

    name: str
    images: int
    points: tuple[Point, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """What was measured.

    Attributes:
        network: which network, in words.
        probes: vectors v of each trace, the same for all images and steps.
        sets: the sets.
        real: real training images.
    """

    network: str
    probes: int
    sets: tuple[Curve, ...]
    real: Curve


def compute(materials: Materials) -> Table:
    """Find the trace of the Hessian on each set and on real images, as the first network learns."""
    pool, sizes, data = materials.along, materials.sizes, materials.dataset
    steps = some_of(
        [step for step in pool.steps if step <= sizes.iterations], sizes.curvature_points
    )
    arrays = pool.transform.to_arrays()
    program = LossCurvature(
        pool.info.network,
        data.num_classes,
        sizes.probes,
        sizes.top_eigenvalue,
        pool.transform.kind,
        tuple(arrays),
    )
    each = min(max(sizes.curvature_images // data.num_classes, 1), materials.most_per_class)
    rows = materials.real_rows(each, "curvature")
    shown = [(one.name, one.images, one.classes) for one in materials.sets]
    shown.append((_REAL, data.x_train[rows], data.y_train[rows]))
    weights = [pool.weights(0, step) for step in steps]
    own = (np.array([materials.seed], np.int64),)
    tasks = [
        Task(program, (images, classes, vector, *arrays.values()), own)
        for _, images, classes in shown
        for vector in weights
    ]
    results = materials.runner.results(tasks)
    curves = []
    for name, images, _ in shown:
        points = []
        for step in steps:
            samples, (loss,), *found = next(results)
            largest = float(found[0][0]) if found else None
            points.append(Point(step, tuple(samples.tolist()), float(loss), largest))
        curves.append(Curve(name, len(images), tuple(points)))
    return Table(str(pool.info.network), sizes.probes, tuple(curves[:-1]), curves[-1])


def some_of(steps: Sequence[int], count: int) -> list[int]:
    """Return at most so many of some steps, the first and the last among them, evenly spread."""
    if len(steps) <= count:
        return list(steps)
    return [steps[i] for i in np.unique(np.linspace(0, len(steps) - 1, count).round().astype(int))]


def peak(curve: Curve) -> tuple[Point, Point, float | None]:
    """Return the highest point of the first half of the training, the last point, and a chance.

    The chance is that of a paired t-test over the probes that the traces of both are the same,
    times the number of points among which the highest was chosen (Bonferroni).
    """
    last = curve.points[-1]
    early = [point for point in curve.points if 2 * point.step <= last.step and point is not last]
    if not early:
        return last, last, None
    highest = max(early, key=lambda point: point.trace)
    differences = np.subtract(highest.samples, last.samples)
    if not np.ptp(differences):
        return highest, last, None
    found = stats.ttest_rel(highest.samples, last.samples).pvalue
    return highest, last, min(float(found) * len(early), 1.0)


def present(table: Table) -> Section:
    """Return what the page says."""
    tests = {curve.name: peak(curve) for curve in (*table.sets, table.real)}
    verdicts = [
        by_test(high.trace - last.trace, p)
        for high, last, p in (tests[curve.name] for curve in table.sets)
    ]
    parts = [
        f"{curve.name} from {high.trace:,.3g} at iteration {high.step} to {last.trace:,.3g}"
        for curve in (*table.sets, table.real)
        for high, last, _ in (tests[curve.name],)
    ]
    end = table.real.points[-1].step
    sentence = (
        f"The trace of the Hessian, from its highest of the first half to iteration {end}: "
        f"{'; '.join(parts)}. By paired t-tests over the {table.probes} probes (Bonferroni) a "
        f"fall is {counted(verdicts)} sets."
    )
    bent = any(point.eigenvalue is not None for point in table.real.points)
    head = (
        *("images", "of them", "first trace", "highest of the first half", "at iteration"),
        *("last trace", *(["last largest eigenvalue"] if bent else []), "p, no fall"),
    )
    rows = [
        (
            *(curve.name, f"{curve.images:,}", _trace(curve.points[0]), _trace(high)),
            *(f"{high.step:,}", _trace(last)),
            *([f"{last.eigenvalue:,.3g}"] if bent and last.eigenvalue is not None else []),
            chance(p),
        )
        for curve in (*table.sets, table.real)
        for high, last, p in (tests[curve.name],)
    ]
    caption = (
        f"Trace of the Hessian of the mean cross entropy by Hutchinson's estimator, {table.probes} "
        "probes, with its standard error over the probes."
    )
    notes = (
        f"Along the training on real images of the first network of the pool, a {table.network}. "
        "The errors are those of the probes, not of other networks.",
    )
    finding = Finding(_CONCLUSION, overall(verdicts), sentence)
    charts = (_chart(table),)
    return Section((finding,), charts, caption, tuple(head), tuple(rows), notes)


def _trace(point: Point) -> str:
    return f"{point.trace:,.4g} ± {point.error:.2g}"


def _chart(table: Table) -> Chart:
    def draw(axes: Axes) -> None:
        for i, curve in enumerate((*table.sets, table.real)):
            real = curve is table.real
            colour, marker = ("#222222", "") if real else SERIES[i % len(SERIES)]
            axes.errorbar(
                [point.step for point in curve.points],
                [point.trace for point in curve.points],
                yerr=[point.error for point in curve.points],
                color=colour,
                marker=marker,
                linestyle="--" if real else "-",
                markersize=4,
                linewidth=1.3,
                capsize=2,
                label=curve.name,
            )
        axes.set(xlabel="iteration on real images", ylabel="trace of the Hessian")
        clean_with_legend_above(axes)

    title = "Curvature of the loss along a training on real images"
    parts = [
        f"{curve.name}: " + ", ".join(f"{p.trace:.3g} at {p.step}" for p in curve.points)
        for curve in (*table.sets, table.real)
    ]
    return Chart("curvature", drawn(3.2, draw), title, f"{title}. {'; '.join(parts)}.")
