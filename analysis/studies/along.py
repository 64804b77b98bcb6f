"""When in training on real images are distilled ones recognised, and when real ones?"""

import dataclasses

import numpy as np
from matplotlib.axes import Axes
from scipy import stats

from stillhouse.analysis.drawing import short
from stillhouse.analysis.report.charts import SERIES, Chart, clean_with_legend_above, drawn
from stillhouse.analysis.studies.asking import in_turn, pool_answers, spread
from stillhouse.analysis.studies.findings import (
    Finding,
    Section,
    by_test,
    chance,
    counted,
    overall,
    percent,
)
from stillhouse.analysis.studies.materials import Materials

_CONCLUSION = (
    "Recognition saturates early in training on real images, while accuracy on real ones still "
    "rises."
)
# Early: a third of the iterations; there and at the end so many snapshots are averaged.
_EARLY, _AVERAGED = 1 / 3, 3


@dataclasses.dataclass(frozen=True)
class Curve:
    """The share of some images that is answered as labelled, along training.

    Attributes:
        name: of the set.
        accuracies: of each network, after each of the steps.
    """

    name: str
    accuracies: tuple[tuple[float, ...], ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """What was measured.

    Attributes:
        steps: of training on real images, ascending.
        sets: the sets.
        real: the test images.
    """

    steps: tuple[int, ...]
    sets: tuple[Curve, ...]
    real: Curve


def compute(materials: Materials) -> Table:
    """Ask the networks of a pool as they were along their training."""
    pool = materials.along
    within = [step for step in pool.steps if step <= materials.sizes.iterations]
    steps = spread(within, materials.sizes.snapshots)
    tests, test_classes = materials.tests
    names = [*(one.name for one in materials.sets), "real test images"]
    classes = [*(one.classes for one in materials.sets), test_classes]
    images, parts = in_turn([*(one.images for one in materials.sets), tests])
    answers = pool_answers(materials, pool, images, steps)
    curves = [
        Curve(name, tuple(map(tuple, (answers[:, :, part] == known).mean(axis=2).tolist())))
        for name, part, known in zip(names, parts, classes, strict=True)
    ]
    return Table(tuple(steps), tuple(curves[:-1]), curves[-1])


@dataclasses.dataclass(frozen=True)
class _Later:
    """What is gained after the early part of training, on a set and on the test images.

    Attributes:
        gained: of recognition, the mean over networks.
        gained_real: of the accuracy on real test images.
        p: of a t-test that both are the same, paired by network; None for fewer than two.
    """

    gained: float
    gained_real: float
    p: float | None


def later_gains(table: Table, curve: Curve) -> _Later:
    """Return how much more is recognised at the end than early."""
    gained, real = (_gains(table.steps, one) for one in (curve, table.real))
    differences = real - gained
    p = None
    if len(differences) > 1 and np.ptp(differences) > 1e-9:  # More than rounding.
        p = float(stats.ttest_1samp(differences, 0.0).pvalue)
    return _Later(float(gained.mean()), float(real.mean()), p)


def early(steps: tuple[int, ...]) -> int:
    """Return which of the steps is the last one of the early part."""
    return int(np.searchsorted(steps, _EARLY * steps[-1], side="right")) - 1


def _gains(steps: tuple[int, ...], curve: Curve) -> np.ndarray:
    values, middle = np.array(curve.accuracies), early(steps)
    around = slice(max(middle - _AVERAGED // 2, 0), middle + _AVERAGED // 2 + 1)
    return values[:, -_AVERAGED:].mean(axis=1) - values[:, around].mean(axis=1)


def present(table: Table) -> Section:
    """Return what the page says."""
    found = {one.name: later_gains(table, one) for one in table.sets}
    # As published only where real accuracy does rise, and by more.
    verdicts = [
        by_test(min(one.gained_real - one.gained, one.gained_real), one.p) for one in found.values()
    ]
    at, last = table.steps[early(table.steps)], table.steps[-1]
    parts = [f"{100 * one.gained:+.1f} on {name}" for name, one in found.items()]
    real = next(iter(found.values())).gained_real
    sentence = (
        f"From iteration {at} to {last} networks gain {', '.join(parts)}, and {100 * real:+.1f} "
        f"points on real test images; by a t-test of the difference, paired by network, it is "
        f"{counted(verdicts)} sets."
    )
    middle, end = early(table.steps), len(table.steps) - 1
    shown = sorted({0, middle // 2, middle, (middle + end) // 2, end})
    head = ("images", *(f"iteration {table.steps[i]}" for i in shown), "gained later", "p, paired")
    rows = []
    for one in (*table.sets, table.real):
        values = np.array(one.accuracies)
        gain = found.get(one.name)
        rows.append(
            (
                *(one.name, *(percent(values[:, i]) for i in shown)),
                f"{100 * (real if gain is None else gain.gained):+.1f}",
                chance(None if gain is None else gain.p),
            )
        )
    caption = (
        "Share of images that networks answer as they are labelled, in percent, after so many "
        "iterations of training on real images: mean and deviation over the networks of the pool."
    )
    finding = Finding(_CONCLUSION, overall(verdicts), sentence)
    return Section((finding,), (_chart(table),), caption, head, tuple(rows))


def _chart(table: Table) -> Chart:
    curves = (*table.sets, table.real)

    def draw(axes: Axes) -> None:
        for i, one in enumerate(curves):
            real = one is table.real
            style = ("-", "--", "-.")[i // len(SERIES) % 3]
            axes.plot(
                table.steps,
                100 * np.mean(one.accuracies, axis=0),
                color="#222222" if real else SERIES[i % len(SERIES)][0],
                linestyle=":" if real else style,
                linewidth=2.2 if real else 1.5,
                label=short(one.name, 20),
            )
        middle = table.steps[early(table.steps)]
        axes.axvline(middle, color="#888888", linewidth=0.8, linestyle=":")
        axes.set(xlabel="iterations on real images", ylabel="answered as labelled, %")
        axes.set_ylim(-2, 102)
        clean_with_legend_above(axes)

    title = "Recognition along training on real images"
    parts = [
        f"{one.name}: {percent(np.array(one.accuracies)[:, 0].tolist())} % at iteration "
        f"{table.steps[0]}, {percent(np.array(one.accuracies)[:, -1].tolist())} % at "
        f"{table.steps[-1]}"
        for one in curves
    ]
    return Chart("along", drawn(3.4, draw), title, f"{title}. {'; '.join(parts)}.")
