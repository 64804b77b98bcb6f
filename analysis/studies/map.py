"""Where do distilled images lie among real ones, as a trained network sees them?"""

import dataclasses

import numpy as np
from matplotlib.axes import Axes
from scipy import stats

from stillhouse.analysis.drawing import short
from stillhouse.analysis.report.charts import Chart, drawn
from stillhouse.analysis.studies.asking import in_turn
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
from stillhouse.analysis.studies.projection import nearest_alike, onto_plane
from stillhouse.methods.programs import NetworkFeatures
from stillhouse.methods.tasks import Task

_CONCLUSION = "Distilled images lie among real images of their class."
_MARKERS = ("o", "D", "^", "s", "P", "X", "v", "*")
# Of one picture: more are a grey cloud.
_MOST_DRAWN = 1000


@dataclasses.dataclass(frozen=True)
class Placed:
    """Images of a set, or real ones.

    Attributes:
        name: of the set.
        classes: of the images that are drawn.
        points: of these, in the plane.
        images: how many there are.
        alike: the mean share of the five nearest real images, as the network sees them, that are
            of an image's class.
        nearest: of how many images the nearest real image is of their class.
    """

    name: str
    classes: tuple[int, ...]
    points: tuple[tuple[float, float], ...]
    images: int
    alike: float
    nearest: int


@dataclasses.dataclass(frozen=True)
class Table:
    """What was measured.

    Attributes:
        network: which network, in words.
        classes: names.
        method: "UMAP" or "PCA".
        explained: of PCA, the share of the variance that the plane shows.
        sets: the sets.
        real: real test images, each among the others.
    """

    network: str
    classes: tuple[str, ...]
    method: str
    explained: float | None
    sets: tuple[Placed, ...]
    real: Placed


def compute(materials: Materials) -> Table:
    """Find the features of all images in the first network of the first pool, and lay them out."""
    pool, data = materials.pools[0].pool, materials.dataset
    arrays = pool.transform.to_arrays()
    program = NetworkFeatures(
        pool.info.network, data.num_classes, pool.transform.kind, tuple(arrays)
    )
    tests, answers = materials.tests
    images, parts = in_turn([*(one.images for one in materials.sets), tests])
    task = Task(program, (images, pool.weights(0), *arrays.values()))
    ((features,),) = materials.runner.results([task])
    real = features[parts[-1]]
    drawn_rows = np.arange(len(real))[:: -(-len(real) // _MOST_DRAWN)]
    ends = np.cumsum([len(features[part]) for part in parts[:-1]])
    plane = onto_plane(
        np.concatenate([features[: ends[-1]], real[drawn_rows]]), seed=materials.seed
    )
    sets = []
    for one, part in zip(materials.sets, parts[:-1], strict=True):
        near = nearest_alike(features[part], one.classes, real, answers)
        sets.append(_placed(one.name, one.classes, plane.points[part], near))
    near = nearest_alike(real, answers, real, answers, themselves=True)
    shown = _placed("real test images", answers[drawn_rows], plane.points[ends[-1] :], near)
    return Table(
        str(pool.info.network),
        tuple(data.class_names),
        plane.method,
        plane.explained,
        tuple(sets),
        shown,
    )


def _placed(name: str, classes: np.ndarray, points: np.ndarray, near: np.ndarray) -> Placed:
    rounded = tuple((round(float(x), 4), round(float(y), 4)) for x, y in points)
    alike, nearest = float(near.mean()), int(near[:, 0].sum())
    return Placed(name, tuple(map(int, classes)), rounded, len(near), alike, nearest)


def present(table: Table) -> Section:
    """Return what the page says."""
    base = 1 / len(table.classes)
    tests = [float(stats.binomtest(one.nearest, one.images, base).pvalue) for one in table.sets]
    verdicts = [
        by_test(one.nearest / one.images - base, p)
        for one, p in zip(table.sets, tests, strict=True)
    ]
    shares = ", ".join(f"{one.name} {percent(one.nearest / one.images)} %" for one in table.sets)
    real = table.real.nearest / table.real.images
    sentence = (
        f"As the network sees them, the nearest real test image is of the same class for: {shares} "
        f"(for real images among the others {percent(real)} %); by the exact binomial test against "
        f"chance ({100 * base:.3g} %) it is {counted(verdicts)} sets."
    )
    head = ("set", "images", "nearest of their class, %", "five nearest, %", "p, above chance")
    rows = [
        (
            *(one.name, f"{one.images:,}", percent(one.nearest / one.images)),
            *(percent(one.alike), chance(p)),
        )
        for one, p in zip((*table.sets, table.real), (*tests, None), strict=True)
    ]
    caption = (
        f"Real test images that are nearest in the features of a trained {table.network}, before "
        "its last layer."
    )
    how = "UMAP with 5 neighbours" if table.method == "UMAP" else "PCA"
    note = f"The plane is drawn by {how}; the table is of the features themselves."
    if table.explained is not None:
        note += (
            f" PCA shows {percent(table.explained)} % of the variance; where umap-learn is "
            "installed (the extra `study`), UMAP is used."
        )
    finding = Finding(_CONCLUSION, overall(verdicts), sentence)
    charts = tuple(_chart(table, one, i) for i, one in enumerate(table.sets))
    return Section((finding,), charts, caption, head, tuple(rows), (note,))


def _chart(table: Table, one: Placed, number: int) -> Chart:
    from matplotlib import colormaps

    count = len(table.classes)
    colours = colormaps["tab10" if count <= 10 else "tab20" if count <= 20 else "turbo"]

    def draw(axes: Axes) -> None:
        for placed, real in ((table.real, True), (one, False)):
            points, classes = np.array(placed.points), np.array(placed.classes)
            axes.scatter(
                points[:, 0],
                points[:, 1],
                c=classes,
                cmap=colours,
                vmin=-0.5,
                vmax=max(count, colours.N if colours.N < 256 else count) - 0.5,
                s=5 if real else 20,
                alpha=0.4 if real else 1.0,
                marker="o" if real else _MARKERS[number % len(_MARKERS)],
                linewidths=0 if real else 0.9,
                edgecolors="none" if real else "#000000",
            )
        axes.set(xticks=[], yticks=[], xlabel=f"{table.method}, one colour a class")
        axes.spines[:].set_visible(False)

    title = f"{short(one.name, 40)} (large) among real test images (small), by {table.method}"
    alt = (
        f"{title}. The nearest real image is of the same class for "
        f"{percent(one.nearest / one.images)} % of {one.images} images."
    )
    return Chart(f"map-{number}", drawn(3.6, draw), title, alt)
