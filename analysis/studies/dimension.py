"""How many dimensions do distilled images fill, beside as many real ones?"""

import dataclasses

import numpy as np
from matplotlib.axes import Axes

from stillhouse.analysis.drawing import short
from stillhouse.analysis.report.charts import SERIES, Chart, clean_with_legend_above, drawn
from stillhouse.analysis.studies.findings import (
    Finding,
    Section,
    by_test,
    chance,
    counted,
    overall,
)
from stillhouse.analysis.studies.intrinsic_dimension import FEWEST, two_nn_dimension
from stillhouse.analysis.studies.materials import Materials

_CONCLUSION = "Distilled images fill more dimensions than as many real images."
DRAWS = 39
"""Of real images beside each set: a chance of 5 % is the least that can be told from them."""


@dataclasses.dataclass(frozen=True)
class Filled:
    """A set, and as many real images.

    Attributes:
        name: of the set.
        images: how many different ones it has.
        dimension: that they fill; None where they are too few.
        error: its standard error, over resampled images.
        real: the dimensions of draws of as many real images of the same classes.
    """

    name: str
    images: int
    dimension: float | None
    error: float | None
    real: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """What was measured.

    Attributes:
        sets: the sets.
    """

    sets: tuple[Filled, ...]


def compute(materials: Materials) -> Table:
    """Estimate the dimension of the images of each set, and of as many real ones."""
    found = []
    for one in materials.sets:
        different = len(np.unique(one.images.reshape(len(one.images), -1), axis=0))
        if different < FEWEST:
            found.append(Filled(one.name, different, None, None, ()))
            continue
        own = two_nn_dimension(one.images, seed=materials.seed)
        real = tuple(
            two_nn_dimension(images, seed=materials.seed, resampled=0).estimate
            for images in real_draws(materials, one.classes, DRAWS)
        )
        found.append(Filled(one.name, own.points, own.estimate, own.error, real))
    return Table(tuple(found))


def real_draws(materials: Materials, classes: np.ndarray, draws: int) -> list[np.ndarray]:
    """Return draws of real training images, each as many of every class as these are.

    Args:
        materials: whose training images, and whose seed.
        classes: of the images of a set, integers `[s]`.
        draws: how many.
    """
    from stillhouse.data.sampling import rng_for

    data = materials.dataset
    members = [np.flatnonzero(data.y_train == c) for c in range(data.num_classes)]
    found = []
    for draw in range(draws):
        rng = rng_for(materials.seed, "real images of the same classes", draw)
        rows = np.empty(len(classes), np.int64)
        for c, own in enumerate(members):
            there = np.flatnonzero(classes == c)
            rows[there] = (
                rng.permutation(own)[: len(there)]
                if len(there) <= len(own)
                else (rng.choice(own, len(there)))
            )
        found.append(data.x_train[rows])
    return found


def two_sided(value: float, draws: "np.typing.ArrayLike") -> float:
    """Return the chance that a value is one of the draws: twice the smaller of both tails."""
    others = np.asarray(draws)
    above, below = int((others >= value).sum()), int((others <= value).sum())
    return min(2 * (1 + min(above, below)) / (1 + len(others)), 1.0)


def present(table: Table) -> Section:
    """Return what the page says."""
    tests = [two_sided(one.dimension, one.real) if one.dimension else None for one in table.sets]
    verdicts = [
        by_test((one.dimension or 0) - float(np.median(one.real or (0,))), p)
        for one, p in zip(table.sets, tests, strict=True)
    ]
    told = [
        f"{one.name} {one.dimension:.1f} for {np.mean(one.real):.1f}"
        for one in table.sets
        if one.dimension is not None
    ]
    sentence = (
        f"Two-NN dimension of the distilled images, for that of as many real ones: "
        f"{', '.join(told) or 'of none, the sets are too small'}; by the rank of a set among "
        f"{DRAWS} draws of real images it is {counted(verdicts)} sets."
    )
    head = ("set", "images", "dimension", "as many real images", "p, no more")
    rows = [
        (
            one.name,
            f"{one.images:,}",
            "-" if one.dimension is None else f"{one.dimension:.1f} ± {one.error:.1f}",
            f"{np.mean(one.real):.1f} ± {np.std(one.real, ddof=1):.1f}" if one.real else "-",
            chance(p),
        )
        for one, p in zip(table.sets, tests, strict=True)
    ]
    caption = (
        "Intrinsic dimension of the raw images by their two nearest neighbours, with its standard "
        "error over resampled images; of real images the mean and the deviation of the draws."
    )
    notes = (
        "The estimate grows with the number of images, so sets are beside as many real ones. "
        f"Sets of fewer than {FEWEST} different images have none.",
    )
    finding = Finding(_CONCLUSION, overall(verdicts), sentence)
    charts = (_chart(table),) if told else ()
    return Section((finding,), charts, caption, head, tuple(rows), notes)


def _chart(table: Table) -> Chart:
    sets = [one for one in table.sets if one.dimension is not None]

    def draw(axes: Axes) -> None:
        (own, marker), (real, other) = SERIES[:2]
        rows = range(len(sets))
        axes.errorbar(
            [one.dimension or 0 for one in sets],
            list(rows),
            xerr=[one.error or 0 for one in sets],
            fmt=marker,
            color=own,
            capsize=2,
            label="distilled images",
        )
        axes.errorbar(
            [np.mean(one.real) for one in sets],
            [row + 0.2 for row in rows],
            xerr=[np.std(one.real, ddof=1) for one in sets],
            fmt=other,
            color=real,
            capsize=2,
            label="as many real images",
        )
        axes.set_yticks(rows, [short(one.name, 20) for one in sets], parse_math=False)
        axes.set(xlabel="intrinsic dimension", ylim=(len(sets) - 0.4, -0.6))
        clean_with_legend_above(axes)

    title = "Intrinsic dimension of distilled images, and of as many real ones"
    parts = [f"{one.name}: {one.dimension:.1f} for {np.mean(one.real):.1f}" for one in sets]
    return Chart(
        "dimension", drawn(1.4 + 0.42 * len(sets), draw), title, f"{title}. {'; '.join(parts)}."
    )
