"""Are distilled images recognised by networks that were trained on real ones?"""

import dataclasses

import numpy as np
from matplotlib.axes import Axes
from scipy import stats

from stillhouse.analysis.drawing import short
from stillhouse.analysis.report.charts import SERIES, Chart, clean_with_legend_above, drawn
from stillhouse.analysis.studies.asking import in_turn, pool_answers
from stillhouse.analysis.studies.findings import (
    Finding,
    Section,
    by_test,
    chance,
    counted,
    least_to_largest,
    overall,
    percent,
)
from stillhouse.analysis.studies.materials import Materials

_CONCLUSION = "Networks trained on real images recognise distilled ones."


@dataclasses.dataclass(frozen=True)
class Judged:
    """What the networks of a pool say of a set.

    Attributes:
        judge: the pool.
        accuracies: of each network, the share of images that it answers as they are labelled.
    """

    judge: str
    accuracies: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Recognised:
    """A set, or the test images.

    Attributes:
        name: of the set.
        images: how many it has.
        right: of how many the label is what most networks of all pools answer; of several that
            are answered alike often, the first class counts.
        judged: by each pool.
    """

    name: str
    images: int
    right: int
    judged: tuple[Judged, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """What was measured.

    Attributes:
        classes: how many there are: one of so many is right by chance.
        networks: each pool's network in words, and the name of the pool.
        sets: the sets.
        real: the test images.
    """

    classes: int
    networks: tuple[tuple[str, str], ...]
    sets: tuple[Recognised, ...]
    real: Recognised


def compute(materials: Materials) -> Table:
    """Ask every network of every pool for each image of each set, and for the test images."""
    tests, test_classes = materials.tests
    names = [*(one.name for one in materials.sets), "real test images"]
    classes = [*(one.classes for one in materials.sets), test_classes]
    images, parts = in_turn([*(one.images for one in materials.sets), tests])
    answers = {one.name: pool_answers(materials, one.pool, images)[:, 0] for one in materials.pools}
    together, k = np.concatenate(list(answers.values())), materials.dataset.num_classes
    found = []
    for name, part, known in zip(names, parts, classes, strict=True):
        votes = (together[:, part, None] == np.arange(k)).sum(axis=0).argmax(axis=1)
        judged = tuple(
            Judged(judge, tuple((said[:, part] == known).mean(axis=1).tolist()))
            for judge, said in answers.items()
        )
        found.append(Recognised(name, len(known), int((votes == known).sum()), judged))
    networks = tuple((one.name, str(one.pool.info.network)) for one in materials.pools)
    return Table(k, networks, tuple(found[:-1]), found[-1])


def present(table: Table) -> Section:
    """Return what the page says."""
    tests = [_against_chance(one, table.classes) for one in table.sets]
    verdicts = [
        by_test(one.right / one.images - 1 / table.classes, p)
        for one, p in zip(table.sets, tests, strict=True)
    ]
    shares = least_to_largest({one.name: _mean(one) for one in table.sets})
    sentence = (
        f"The networks answer {shares} of the distilled images as they are labelled, and "
        f"{percent(_mean(table.real))} % of real test images; by the exact binomial test of the "
        f"networks' majority against chance ({100 / table.classes:.3g} %) it is "
        f"{counted(verdicts)} sets."
    )
    head = ("set", "images", *(f"{name}: {network}" for name, network in table.networks),
            "majority right", "p, above chance")  # fmt: skip
    rows = [
        (
            *(one.name, f"{one.images:,}", *(percent(by.accuracies) for by in one.judged)),
            *(f"{one.right:,}", chance(p)),
        )
        for one, p in zip((*table.sets, table.real), (*tests, None), strict=True)
    ]
    caption = (
        "Share of images that networks trained on real ones answer as they are labelled, in "
        "percent: mean and deviation over the networks of each pool."
    )
    finding = Finding(_CONCLUSION, overall(verdicts), sentence)
    return Section((finding,), (_chart(table),), caption, head, tuple(rows))


def _mean(one: Recognised) -> float:
    return float(np.mean([accuracy for by in one.judged for accuracy in by.accuracies]))


def _against_chance(one: Recognised, classes: int) -> float:
    return float(stats.binomtest(one.right, one.images, 1 / classes).pvalue)


def _chart(table: Table) -> Chart:
    sets = (*table.sets, table.real)

    def draw(axes: Axes) -> None:
        for i, (judge, _) in enumerate(table.networks):
            colour, marker = SERIES[i % len(SERIES)]
            shift = 0.15 * (i - (len(table.networks) - 1) / 2)
            found = [one.judged[i].accuracies for one in sets]
            axes.errorbar(
                [100 * np.mean(values) for values in found],
                [y + shift for y in range(len(sets))],
                xerr=[100 * np.std(values, ddof=len(values) > 1) for values in found],
                fmt=marker,
                color=colour,
                capsize=2,
                label=short(judge, 20),
            )
        axes.axvline(100 / table.classes, color="#888888", linewidth=1, linestyle=":")
        axes.set_yticks(range(len(sets)), [short(one.name, 20) for one in sets], parse_math=False)
        axes.set(xlabel="recognised, %", xlim=(-3, 103), ylim=(len(sets) - 0.5, -0.5))
        clean_with_legend_above(axes)

    title = "Images recognised by networks trained on real ones; dotted: chance"
    parts = [
        f"{one.name}: " + ", ".join(f"{by.judge} {percent(by.accuracies)} %" for by in one.judged)
        for one in sets
    ]
    png = drawn(1.4 + 0.42 * len(sets), draw)
    return Chart("recognition", png, title, f"{title}. {'; '.join(parts)}.")
