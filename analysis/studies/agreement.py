"""Do networks trained on a set answer as early-stopped ones, or as ones trained on fewer images?

Networks are compared at the same accuracy: those that are right as often differ in what on.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from scipy import stats

from stillhouse.analysis.drawing import short
from stillhouse.analysis.report.charts import SERIES, Chart, clean_with_legend_above, drawn
from stillhouse.analysis.studies.asking import Lesson, answers_after, pool_answers, spread
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
    "Networks trained on distilled images answer more like early-stopped networks on all real "
    "images than like networks on a part of them."
)
# Accuracies no further apart than this are the same.
MATCHED = 0.01
# Real images of each class, to learn which accuracy so many lead to.
_LADDER = (1, 3, 10, 30, 100)
_LEAST = 3


@dataclasses.dataclass(frozen=True)
class Match:
    """A network trained on real images, beside those trained on a set.

    Attributes:
        seen: iterations until it was stopped, or real images that it was trained on.
        accuracy: the share of test images that it answers right.
        agreement: the share that it and a network trained on the set answer alike, the mean over
            those of the same accuracy.
    """

    seen: int
    accuracy: float
    agreement: float


@dataclasses.dataclass(frozen=True)
class Agreed:
    """A set.

    Attributes:
        name: of it.
        accuracies: of the networks trained on it.
        early: networks trained on all real images and stopped at the same accuracy.
        subsets: networks trained on a part of them.
        p: of a two-sided Mann-Whitney test of the agreements; None for fewer than three of each.
    """

    name: str
    accuracies: tuple[float, ...]
    early: tuple[Match, ...]
    subsets: tuple[Match, ...]
    p: float | None


@dataclasses.dataclass(frozen=True)
class Between:
    """Two sets, or one and itself.

    Attributes:
        first: the name of one.
        second: the name of the other.
        agreement: the share of test images that networks trained on them answer alike, the mean
            over all pairs of networks; None where there are none.
    """

    first: str
    second: str
    agreement: float | None


@dataclasses.dataclass(frozen=True)
class Table:
    """What was measured.

    Attributes:
        tests: how many images were answered.
        sets: the sets.
        between: each pair of sets, and each set with itself.
    """

    tests: int
    sets: tuple[Agreed, ...]
    between: tuple[Between, ...]


def compute(materials: Materials) -> Table:
    """Train networks on sets and on parts of the real images; ask them, and those of the pool."""
    tests, classes = materials.tests
    seeds = range(materials.seed, materials.seed + materials.sizes.networks)
    nothing, sets = np.empty(0, np.int64), materials.sets
    lessons = [Lesson(one, nothing, seed) for one in sets for seed in seeds]
    answers = np.stack(list(answers_after(materials, lessons)))
    by_set = answers.reshape(len(sets), len(seeds), -1)
    targets = [float((found == classes).mean()) for found in by_set]
    steps, stopped = _stopped(materials, targets)
    sizes, parts = _on_parts(materials, targets, classes)
    found = []
    for one, own in zip(sets, by_set, strict=True):
        stages = [nearest(own, along, steps, classes) for along in stopped]
        others = [
            nearest(own, part[None], (size,), classes)
            for size, part in zip(sizes, parts, strict=True)
        ]
        early = tuple(match for match in stages if match is not None)
        subsets = tuple(match for match in others if match is not None)
        right = tuple((own == classes).mean(axis=1).tolist())
        found.append(Agreed(one.name, right, early, subsets, chance_of(early, subsets)))
    between = tuple(
        Between(sets[i].name, sets[j].name, _between(by_set[i], by_set[j], same=i == j))
        for i in range(len(sets))
        for j in range(i, len(sets))
    )
    return Table(len(classes), tuple(found), between)


def nearest(
    own: np.ndarray, others: np.ndarray, seen: Sequence[int], classes: np.ndarray
) -> Match | None:
    """Return a network along its training beside those trained on a set.

    With each of these it is compared as it was when its accuracy was nearest, where that is the
    same; see `MATCHED`.

    Args:
        own: what those answer, `[a, n]`.
        others: what it answers, at one time after another, `[t, n]`.
        seen: how much it had seen, `[t]`.
        classes: what is right, `[n]`.

    Returns:
        The means over those that it was compared with; None where it never was as accurate.
    """
    accuracies = (others == classes).mean(axis=1)
    found = []
    for answers in own:
        apart = np.abs(accuracies - np.mean(answers == classes))
        at = int(apart.argmin())
        # Shares of one number of images: a rounding error is no image.
        if apart[at] <= MATCHED + 1e-9:
            found.append((seen[at], accuracies[at], np.mean(others[at] == answers)))
    if not found:
        return None
    at, accuracy, agreement = np.mean(found, axis=0)
    return Match(round(at), float(accuracy), float(agreement))


def _stopped(materials: Materials, targets: Sequence[float]) -> tuple[list[int], np.ndarray]:
    """Return steps of training on all real images, and the answers there `[networks, t, n]`.

    Networks are asked now and then, and after every step that the pool has where the accuracy of a
    set is passed: there it rises fast.
    """
    pool, (tests, classes) = materials.along, materials.tests
    coarse = spread(pool.steps, materials.sizes.snapshots)
    first = pool_answers(materials, pool, tests, coarse)
    accuracies = (first == classes).mean(axis=2)
    wanted: set[int] = set()
    for target in targets:
        for nearest_step in np.abs(accuracies - target).argmin(axis=1):
            low = coarse[max(nearest_step - 1, 0)]
            high = coarse[min(nearest_step + 1, len(coarse) - 1)]
            wanted |= {step for step in pool.steps if low < step < high}
    fine = sorted(wanted - set(coarse))
    if not fine:
        return coarse, first
    order = np.argsort([*coarse, *fine])
    found = np.concatenate([first, pool_answers(materials, pool, tests, fine)], axis=1)
    return sorted([*coarse, *fine]), found[:, order]


def _on_parts(
    materials: Materials, targets: Sequence[float], classes: np.ndarray
) -> tuple[list[int], np.ndarray]:
    """Return how many real images of networks on parts of them, and what these answer `[r, n]`.

    A few numbers of images tell which accuracy to expect; then others are trained on as many as
    lead to the accuracy of each set.
    """
    ladder = [size for size in _LADDER if size <= materials.most_per_class]
    first = _lessons(materials, [(size, 0) for size in ladder])
    rough = np.stack(list(answers_after(materials, first)))
    rising = np.maximum.accumulate((rough == classes).mean(axis=1))
    # Strictly rising, as what is interpolated must be.
    rising = rising + 1e-9 * np.arange(len(rising))
    wanted = [round(float(np.exp(np.interp(target, rising, np.log(ladder))))) for target in targets]
    chosen = [
        (size, 1 + number)
        for size in dict.fromkeys(wanted)
        for number in range(materials.sizes.subsets * wanted.count(size))
    ]
    again = np.stack(list(answers_after(materials, _lessons(materials, chosen))))
    k = materials.dataset.num_classes
    return [size * k for size in (*ladder, *(size for size, _ in chosen))], np.concatenate(
        [rough, again]
    )


def _lessons(materials: Materials, chosen: Sequence[tuple[int, int]]) -> list[Lesson]:
    """Return lessons on so many real images of each class, the numbered draw of them."""
    return [
        Lesson(None, materials.real_rows(size, "agreement", number), materials.seed + number)
        for size, number in chosen
    ]


def chance_of(early: Sequence[Match], subsets: Sequence[Match]) -> float | None:
    """Return the chance that both agree as much; None for fewer than three of either."""
    if min(len(early), len(subsets)) < _LEAST:
        return None
    values = [[one.agreement for one in found] for found in (early, subsets)]
    return float(stats.mannwhitneyu(*values, alternative="two-sided").pvalue)


def _between(first: np.ndarray, second: np.ndarray, *, same: bool) -> float | None:
    alike = (first[:, None] == second[None]).mean(axis=2)
    pairs = alike[np.triu_indices(len(first), 1)] if same else alike.ravel()
    return float(pairs.mean()) if len(pairs) else None


def present(table: Table) -> Section:
    """Return what the page says."""
    verdicts = [by_test(_nearer(one), one.p) for one in table.sets]
    parts = [f"{one.name} {_mean(one.early)} % for {_mean(one.subsets)} %" for one in table.sets]
    sentence = (
        f"At the same accuracy, within {100 * MATCHED:g} point, networks trained on the sets "
        f"answer as early-stopped ones, and as ones on parts of the real images: "
        f"{', '.join(parts)}. By a "
        f"Mann-Whitney test of the two it is {counted(verdicts)} sets."
    )
    names = [one.name for one in table.sets]
    head = ("set", "accuracy", "early-stopped: networks", "iterations", "alike, %",
            "parts: networks", "real images", "alike, %", "p",
            *(f"alike with {name}, %" for name in names))  # fmt: skip
    alike = {(one.first, one.second): one.agreement for one in table.between}
    rows = []
    for one in table.sets:
        others = [alike.get((one.name, name), alike.get((name, one.name))) for name in names]
        rows.append(
            (
                *(one.name, percent(one.accuracies)),
                *(str(len(one.early)), _seen(one.early), _mean(one.early)),
                *(str(len(one.subsets)), _seen(one.subsets), _mean(one.subsets), chance(one.p)),
                *("-" if value is None else percent(value) for value in others),
            )
        )
    caption = (
        f"Share of {table.tests:,} test images that two networks answer alike, in percent. Those "
        "trained on real images are of the same accuracy as those trained on the set; between two "
        "sets accuracies may differ."
    )
    finding = Finding(_CONCLUSION, overall(verdicts), sentence)
    charts = tuple(_chart(i, one) for i, one in enumerate(table.sets) if one.early and one.subsets)
    lacking = [one.name for one in table.sets if not (one.early and one.subsets)]
    notes: tuple[str, ...] = ()
    if lacking:
        notes = (
            f"No networks of the same accuracy were found for {', '.join(lacking)}: a pool with "
            "more weights along training, or more networks on parts of the images, may have some.",
        )
    return Section((finding,), charts, caption, head, tuple(rows), notes)


def _nearer(one: Agreed) -> float:
    """Return by how much early-stopped networks are nearer; 0 where there is nothing to compare."""
    if not (one.early and one.subsets):
        return 0.0
    early, subsets = (
        np.mean([match.agreement for match in found]) for found in (one.early, one.subsets)
    )
    return float(early - subsets)


def _mean(matches: Sequence[Match]) -> str:
    return percent([match.agreement for match in matches]) if matches else "-"


def _seen(matches: Sequence[Match]) -> str:
    if not matches:
        return "-"
    seen = [match.seen for match in matches]
    return str(seen[0]) if min(seen) == max(seen) else f"{min(seen):,} to {max(seen):,}"


def _chart(number: int, one: Agreed) -> Chart:
    kinds = (("early-stopped", one.early), ("parts of the real images", one.subsets))

    def draw(axes: Axes) -> None:
        every = [100 * match.agreement for _, matches in kinds for match in matches]
        room = max(0.25 * float(np.ptp(every)), 1.0)
        grid = np.linspace(min(every) - room, max(every) + room, 200)
        for i, (name, matches) in enumerate(kinds):
            colour, marker = SERIES[i]
            values = np.array([100 * match.agreement for match in matches])
            # A density needs values that differ; each network has its mark in any case.
            if len(values) > 2 and np.ptp(values) > 0:
                axes.plot(grid, stats.gaussian_kde(values)(grid), color=colour, label=name)
                name = "_"
            axes.plot(values, np.zeros_like(values), marker, color=colour, label=name,
                      markerfacecolor="none", clip_on=False)  # fmt: skip
        axes.set(xlabel="test images answered alike, %", ylabel="density")
        axes.set_ylim(bottom=0)
        clean_with_legend_above(axes)

    title = f"Agreement with networks trained on {short(one.name, 40)}, at its accuracy"
    parts = [f"{name}: {_mean(matches)} %, {len(matches)} networks" for name, matches in kinds]
    return Chart(f"agreement-{number}", drawn(2.7, draw), title, f"{title}. {'; '.join(parts)}.")
