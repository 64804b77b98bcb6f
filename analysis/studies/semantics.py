"""Is what a distilled image influences alike, in class and in what can be said of it in numbers?"""

import dataclasses

import numpy as np
from matplotlib.axes import Axes

from stillhouse.analysis.drawing import short
from stillhouse.analysis.report.charts import SERIES, Chart, clean_with_legend_above, drawn
from stillhouse.analysis.studies.attributes import Coherence, attributes, purity, spread_within
from stillhouse.analysis.studies.findings import (
    LEVEL,
    NOT_SEEN,
    SEEN,
    TOO_SMALL,
    Finding,
    Section,
    by_test,
    chance,
    counted,
    overall,
)
from stillhouse.analysis.studies.influence import MOST, changes_of, most_influenced
from stillhouse.analysis.studies.materials import Materials

_OF_CLASSES = "Single distilled images carry semantics: what each influences most is of one class."
_BEYOND = "It is alike in more than its class."
_PERMUTATIONS = 999


@dataclasses.dataclass(frozen=True)
class Alike:
    """Whether what images of a set influence is alike in one attribute.

    Attributes:
        attribute: its name.
        spread: the mean variance within what an image influences most, by that over all.
        chance: the same, with its values permuted among the test images of each class.
        p_value: that chance is as coherent.
    """

    attribute: str
    spread: float
    chance: float
    p_value: float


@dataclasses.dataclass(frozen=True)
class Described:
    """What an image of a set influences most, in words and numbers.

    Attributes:
        label: its class.
        classes: of the test images that it influences most, the most frequent first, and how many.
        means: of each attribute, over these.
    """

    label: int
    classes: tuple[tuple[int, int], ...]
    means: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Meanings:
    """A set.

    Attributes:
        name: of the set.
        images: of each of its images, what it influences.
        purity: the mean share of the most frequent class.
        purity_chance: the same, with classes permuted among all test images.
        purity_p: that chance is as pure.
        alike: by attribute.
    """

    name: str
    images: tuple[Described, ...]
    purity: float
    purity_chance: float
    purity_p: float
    alike: tuple[Alike, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """What was measured.

    Attributes:
        classes: names.
        attributes: names.
        sets: the sets.
    """

    classes: tuple[str, ...]
    attributes: tuple[str, ...]
    sets: tuple[Meanings, ...]


def compute(materials: Materials) -> Table:
    """Describe the test images that each distilled image influences most, by leaving it out."""
    tests, answers = materials.tests
    known = attributes(tests, materials.dataset.info().pixel_range)
    sets = []
    for one, changes in zip(materials.sets, changes_of(materials), strict=True):
        groups = most_influenced(changes)
        pure = purity(answers, groups, permutations=_PERMUTATIONS, seed=materials.seed)
        alike = []
        for name, values in known.items():
            found = _coherence(values, groups, answers, materials.seed)
            alike.append(Alike(name, found.found, found.chance, found.p_value))
        images = tuple(
            Described(
                int(label),
                _counts(answers[rows]),
                tuple(float(values[rows].mean()) for values in known.values()),
            )
            for label, rows in zip(one.classes, groups, strict=True)
        )
        sets.append(Meanings(one.name, images, pure.found, pure.chance, pure.p_value, tuple(alike)))
    return Table(tuple(materials.dataset.class_names), tuple(known), tuple(sets))


def _coherence(values: np.ndarray, groups: np.ndarray, classes: np.ndarray, seed: int) -> Coherence:
    # Within classes: what cats have in common is no news of images that influence cats.
    return spread_within(values, groups, permutations=_PERMUTATIONS, seed=seed, within=classes)


def _counts(classes: np.ndarray) -> tuple[tuple[int, int], ...]:
    counts = np.bincount(classes)
    order = np.argsort(-counts, kind="stable")
    return tuple((int(label), int(counts[label])) for label in order if counts[label])


def present(table: Table) -> Section:
    """Return what the page says."""
    of_classes = [by_test(one.purity - one.purity_chance, one.purity_p) for one in table.sets]
    shares = ", ".join(
        f"{one.name} {100 * one.purity:.0f} % for {100 * one.purity_chance:.0f} %"
        for one in table.sets
    )
    in_class = (
        f"Of the {MOST} test images that a distilled image influences most, the most frequent "
        f"class has, for its share by chance: {shares}; by {_PERMUTATIONS} permutations of the "
        f"classes it is {counted(of_classes)} sets."
    )
    beyond = [_verdict(one) for one in table.sets]
    found = "; ".join(f"{one.name} {', '.join(_coherent(one)) or 'none'}" for one in table.sets)
    in_attributes = (
        f"Attributes in which these {MOST} are more alike than test images of the same classes: "
        f"{found}; by {_PERMUTATIONS} permutations within classes (Bonferroni over "
        f"{len(table.attributes)} attributes) it is {counted(beyond)} sets."
    )
    head = ("image", "class", f"classes of the {MOST}", *table.attributes)
    rows = [
        (
            *(f"{one.name}, {i + 1}", table.classes[image.label]),
            ", ".join(f"{count} {table.classes[label]}" for label, count in image.classes),
            *(f"{value:.2f}" for value in image.means),
        )
        for one in table.sets
        for i, image in enumerate(one.images)
    ]
    spreads = [
        f"{one.name}: "
        + ", ".join(
            f"{a.attribute} {a.spread:.2f} for {a.chance:.2f} (p {chance(a.p_value)})"
            for a in one.alike
        )
        for one in table.sets
    ]
    caption = (
        f"The {MOST} test images that each distilled image influences most: their classes, and the "
        "means of attributes of intensities in 0..1."
    )
    notes = (
        "Variance within what an image influences, by that over all test images, for its chance: "
        f"{'; '.join(spreads)}.",
        "edges is the share of pixels at which the intensity changes steeply, background the mean "
        "along the border. What a captioning model would say of the images is not in reach here.",
    )
    findings = (
        Finding(_OF_CLASSES, overall(of_classes), in_class),
        Finding(_BEYOND, overall(beyond), in_attributes),
    )
    return Section(findings, (_chart(table),), caption, head, tuple(rows), notes)


def _coherent(one: Meanings) -> list[str]:
    return [
        alike.attribute
        for alike in one.alike
        if alike.p_value * len(one.alike) <= LEVEL and alike.spread < alike.chance
    ]


def _verdict(one: Meanings) -> str:
    if _coherent(one):
        return SEEN
    # Less alike than chance is an answer, as alike is none.
    less = [
        alike
        for alike in one.alike
        if (1 - alike.p_value) * len(one.alike) <= LEVEL and alike.spread > alike.chance
    ]
    return NOT_SEEN if less else TOO_SMALL


def _chart(table: Table) -> Chart:
    def draw(axes: Axes) -> None:
        for i, one in enumerate(table.sets):
            colour, marker = SERIES[i % len(SERIES)]
            shift = 0.15 * (i - (len(table.sets) - 1) / 2)
            axes.plot(
                [alike.spread / max(alike.chance, 1e-12) for alike in one.alike],
                [y + shift for y in range(len(one.alike))],
                linestyle="",
                marker=marker,
                color=colour,
                label=short(one.name, 20),
            )
        axes.axvline(1, color="#888888", linewidth=1, linestyle=":")
        axes.set_yticks(range(len(table.attributes)), list(table.attributes))
        axes.set(
            xlabel="variance within, by that of chance", ylim=(len(table.attributes) - 0.5, -0.5)
        )
        clean_with_legend_above(axes)

    title = "How alike are the test images that an image influences most; dotted: by chance"
    parts = [
        f"{one.name}: "
        + ", ".join(f"{a.attribute} {a.spread / max(a.chance, 1e-12):.2f}" for a in one.alike)
        for one in table.sets
    ]
    png = drawn(1.2 + 0.38 * len(table.attributes), draw)
    return Chart("semantics", png, title, f"{title}. {'; '.join(parts)}.")
