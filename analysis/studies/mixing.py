"""What do real images gain, mixed in with distilled ones?"""

import dataclasses

import numpy as np
from matplotlib.axes import Axes
from scipy import stats

from stillhouse.analysis.drawing import short
from stillhouse.analysis.report.charts import Chart, clean_with_legend_above, drawn, mark
from stillhouse.analysis.studies.asking import Lesson, answers_after
from stillhouse.analysis.studies.findings import (
    NOT_SEEN,
    SEEN,
    TOO_SMALL,
    Finding,
    Section,
    counted,
    overall,
    percent,
)
from stillhouse.analysis.studies.materials import Materials

_CONCLUSION = "Little is gained by mixing real images in with distilled ones."
REAL = "real alone"
# So much test accuracy is little.
_LITTLE = 0.02
_SURE = 0.95


@dataclasses.dataclass(frozen=True)
class Mixed:
    """Networks trained on a set and real images.

    Attributes:
        name: of the set; `REAL` for real images alone.
        images: of the set, of each class.
        real: real images of each class beside it.
        accuracies: of each network, on the test images.
    """

    name: str
    images: int
    real: int
    accuracies: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """What was measured.

    Attributes:
        rows: by set, then by the number of real images.
        left_out: numbers of real images that the smallest class does not have.
    """

    rows: tuple[Mixed, ...]
    left_out: tuple[int, ...]


def compute(materials: Materials) -> Table:
    """Train networks on each set with each number of real images, and on these alone.

    The networks of one number have the same seeds and real images with every set.
    """
    counts, k = materials.sizes.real_counts, materials.dataset.num_classes
    fitting = [count for count in counts if count <= materials.most_per_class]
    rows = {count: materials.real_rows(count, "mixing", count) for count in fitting}
    plan = [
        (one, count)
        for one in (*materials.sets, None)
        for count in fitting
        if one is not None or count
    ]
    seeds = range(materials.seed, materials.seed + materials.sizes.networks)
    lessons = [Lesson(one, rows[count], seed) for one, count in plan for seed in seeds]
    _, classes = materials.tests
    right = [float(np.mean(found == classes)) for found in answers_after(materials, lessons)]
    found = np.reshape(right, (len(plan), len(seeds))).tolist()
    return Table(
        tuple(
            Mixed(REAL, 0, count, tuple(accuracies))
            if one is None
            else Mixed(one.name, len(one.images) // k, count, tuple(accuracies))
            for (one, count), accuracies in zip(plan, found, strict=True)
        ),
        tuple(count for count in counts if count not in fitting),
    )


@dataclasses.dataclass(frozen=True)
class _Gain:
    """What as many real images as distilled ones add, or the next smaller number.

    Attributes:
        real: how many of each class.
        mean: of the networks, each against the one of its seed on the set alone.
        low: end of the mean's confidence interval; None where one network says nothing of it.
        high: its other end.
    """

    real: int
    mean: float
    low: float | None
    high: float | None

    @property
    def verdict(self) -> str:
        if self.low is None or self.high is None:
            return TOO_SMALL
        return SEEN if self.high < _LITTLE else NOT_SEEN if self.low > _LITTLE else TOO_SMALL


def gain_of(rows: list[Mixed]) -> _Gain:
    """Return what real images add to a set, from its rows in ascending order of these."""
    alone, *mixed = rows
    chosen = max((one for one in mixed if one.real <= one.images), default=mixed[0],
                 key=lambda one: one.real)  # fmt: skip
    gains = np.subtract(chosen.accuracies, alone.accuracies)
    mean = float(gains.mean())
    if len(gains) < 2:
        return _Gain(chosen.real, mean, None, None)
    error = float(np.std(gains, ddof=1)) / np.sqrt(len(gains))
    room = float(stats.t.ppf(0.5 + _SURE / 2, len(gains) - 1)) * error
    return _Gain(chosen.real, mean, mean - room, mean + room)


def present(table: Table) -> Section:
    """Return what the page says."""
    rows = _by_set(table)
    gains = {name: gain_of(found) for name, found in rows.items() if name != REAL and found[1:]}
    verdicts = [gain.verdict for gain in gains.values()]
    parts = [
        f"{gain.real} a class add {100 * gain.mean:+.1f} points to {name}"
        for name, gain in gains.items()
    ]
    sentence = (
        f"Of real images, {'; '.join(parts)}. Little is less than {100 * _LITTLE:g} points: by the "
        f"{_SURE:.0%} interval (Student's t, paired by seed) of the mean over networks it is "
        f"{counted(verdicts)} sets."
        if parts
        else "No real images were mixed in."
    )
    counts = sorted({one.real for one in table.rows})
    body = []
    for name, found in rows.items():
        known = {one.real: percent(one.accuracies) for one in found}
        gain = gains.get(name)
        interval = "-"
        if gain is not None and gain.low is not None and gain.high is not None:
            interval = f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f} at {gain.real}"
        body.append((name, *(known.get(count, "-") for count in counts), interval))
    head = ("trained on", *(f"+ {count} real" for count in counts), f"gain, {_SURE:.0%}")
    caption = (
        "Test accuracy in percent of networks trained on each set with real images of each class "
        "beside it, and on these alone: mean and deviation over networks."
    )
    notes: tuple[str, ...] = ()
    if table.left_out:
        notes = (f"Too few real images for {', '.join(map(str, table.left_out))} a class.",)
    finding = Finding(_CONCLUSION, overall(verdicts), sentence)
    return Section((finding,), (_chart(rows),), caption, head, tuple(body), notes)


def _by_set(table: Table) -> dict[str, list[Mixed]]:
    found: dict[str, list[Mixed]] = {}
    for one in table.rows:
        found.setdefault(one.name, []).append(one)
    return found


def _chart(rows: dict[str, list[Mixed]]) -> Chart:
    counts = sorted({one.real for found in rows.values() for one in found})
    place = {count: i for i, count in enumerate(counts)}

    def draw(axes: Axes) -> None:
        for i, (name, found) in enumerate(rows.items()):
            colour, marker = mark(i)
            real = name == REAL
            axes.errorbar(
                [place[one.real] for one in found],
                [100 * np.mean(one.accuracies) for one in found],
                yerr=[100 * np.std(one.accuracies, ddof=len(one.accuracies) > 1) for one in found],
                fmt=":x" if real else f"-{marker}",
                color="#555555" if real else colour,
                markersize=5,
                capsize=2,
                linewidth=1.4,
                label=short(name, 20),
            )
        axes.set_xticks(range(len(counts)), list(map(str, counts)))
        axes.set(xlabel="real images of each class beside the set", ylabel="test accuracy, %")
        clean_with_legend_above(axes)

    title = "Test accuracy with real images mixed in"
    parts = [
        f"{name}: " + ", ".join(f"{percent(one.accuracies)} % with {one.real}" for one in found)
        for name, found in rows.items()
    ]
    return Chart("mixing", drawn(3.3, draw), title, f"{title}. {'; '.join(parts)}.")
