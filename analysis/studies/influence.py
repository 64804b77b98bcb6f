"""What does a network lose with one distilled image? By training it again without each of them."""

import base64
import dataclasses
import functools
import warnings
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from PIL import Image
from scipy import stats

from stillhouse.analysis.drawing import png_of, shown_pixels
from stillhouse.analysis.report.charts import SERIES, Chart, clean_with_legend_above, drawn
from stillhouse.analysis.report.pictures import shown_of_each_class
from stillhouse.analysis.studies.asking import MOMENTUM
from stillhouse.analysis.studies.findings import (
    Finding,
    Section,
    by_test,
    chance,
    counted,
    overall,
    percent,
)
from stillhouse.analysis.studies.materials import Materials, StudiedSet
from stillhouse.data.arrays import slices
from stillhouse.methods.programs import InfluenceFunction, LeaveOneOut, SetTraining
from stillhouse.methods.tasks import Task

_CONCLUSION = "The test images that a distilled image influences most are of its class."
MOST = 9
"""Test images that are shown of each distilled one."""
# Of influence functions: as Koh and Liang have it; it grows where it is too small.
_DAMPING, _ITERATIONS = 0.01, 50
_ROWS = 5  # of influence functions, in a task: they share a training.
# Of fewer, no order of signs is less likely than one in twenty.
_FEWEST = 6
_GAP, _COLUMNS, _SIDE = 2, 2, 64


@dataclasses.dataclass(frozen=True)
class Influence:
    """What one image of a set influences.

    Attributes:
        label: its class.
        most: the rows, among the test images that are asked about, of those whose loss rises most
            without it, the most influenced first.
        changes: of the loss of each of these.
        agreement: the rank correlation of the changes of all test images by influence functions
            with these; None where it was not asked for, or has no meaning.
    """

    label: int
    most: tuple[int, ...]
    changes: tuple[float, ...]
    agreement: float | None = None


@dataclasses.dataclass(frozen=True)
class Influences:
    """A set.

    Attributes:
        name: of the set.
        images: of each of its images, what it influences.
        own: of each, the share of `most` that is of its class.
        damping: the largest that influence functions needed; None where they were not asked for.
        picture: a PNG as base64: beside images of the set, what they influence most.
        shown: of how many images.
    """

    name: str
    images: tuple[Influence, ...]
    own: tuple[float, ...]
    damping: float | None
    picture: str
    shown: int


@dataclasses.dataclass(frozen=True)
class Table:
    """What was measured.

    Attributes:
        network: which network, in words.
        classes: names.
        base: the share of the test images that are of the most frequent class: chance for `own`.
        tests: how many test images were asked about.
        sets: the sets.
    """

    network: str
    classes: tuple[str, ...]
    base: float
    tests: int
    sets: tuple[Influences, ...]


def compute(materials: Materials) -> Table:
    """Train the first pool's network on each set without each of its images in turn."""
    tests, answers = materials.tests
    found = []
    changed = changes_of(materials)
    others = _by_functions(materials) if materials.sizes.influence_functions else None
    for i, (one, changes) in enumerate(zip(materials.sets, changed, strict=True)):
        order = most_influenced(changes)
        own = (answers[order] == one.classes[:, None]).mean(axis=1)
        agreements: list[float | None] = [None] * len(order)
        damping = None
        if others is not None:
            predicted, dampings = others[i]
            agreements = [rank_correlation(a, b) for a, b in zip(predicted, changes, strict=True)]
            damping = float(dampings.max())
        images = tuple(
            Influence(int(label), tuple(rows.tolist()), tuple(values[rows].tolist()), agreement)
            for label, rows, values, agreement in zip(
                one.classes, order, changes, agreements, strict=True
            )
        )
        shown = shown_of_each_class(one.labels)
        picture = _picture(one, tests, order, shown, materials.dataset.info().pixel_range)
        text = base64.b64encode(picture).decode()
        found.append(Influences(one.name, images, tuple(own.tolist()), damping, text, len(shown)))
    base = float(np.bincount(answers).max() / len(answers))
    names = tuple(materials.dataset.class_names)
    network = str(materials.pools[0].pool.info.network)
    return Table(network, names, base, len(tests), tuple(found))


def changes_of(materials: Materials) -> tuple[np.ndarray, ...]:
    """Return how the loss of test images changes without images of a set: `loss_-j(x) - loss(x)`.

    Every training starts from the same weights and shows all images at each step.

    Returns:
        For each set float64 `[s, m]`, a row for each of its images, a column for each test image.
    """
    training, pool = _training(materials), materials.pools[0].pool
    names = tuple(one.fingerprint for one in materials.sets)
    data = materials.dataset.fingerprint(), materials.sizes.test_images
    return _changes(_Asked((training, pool.fingerprint, names, data, materials.seed), materials))


@dataclasses.dataclass(frozen=True)
class _Asked:
    """Materials that are the same where all that decides the changes is."""

    key: tuple[object, ...]
    materials: Materials = dataclasses.field(compare=False)


@functools.lru_cache(maxsize=1)  # Two studies ask for it, and it trains networks for minutes.
def _changes(asked: _Asked) -> tuple[np.ndarray, ...]:
    materials = asked.materials
    program = LeaveOneOut(*_training(materials))
    tasks = [
        Task(program, _shared(materials, one), (np.array([materials.seed, row], np.int64),))
        for one in materials.sets
        for row in range(-1, len(one.images))
    ]
    results = materials.runner.results(tasks)
    found = []
    for one in materials.sets:
        whole, *without = (next(results)[0].astype(np.float64) for _ in range(1 + len(one.images)))
        found.append(np.stack(without) - whole)
    return tuple(found)


def most_influenced(changes: np.ndarray, count: int = MOST) -> np.ndarray:
    """Return the columns of the largest changes of each row, the largest first, `[s, count]`."""
    return np.argsort(-changes, axis=1, kind="stable")[:, :count]


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Return Spearman's rank correlation; None where one of both is the same everywhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        found = float(stats.spearmanr(one, other).statistic)
    return found if np.isfinite(found) else None


def _by_functions(materials: Materials) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the changes that influence functions predict `[s, m]`, and their dampings `[s]`."""
    training, kind, names = _training(materials)
    program = InfluenceFunction(training, _DAMPING, _ITERATIONS, kind, names)
    parts = [
        (i, np.arange(part.start, part.stop))
        for i, one in enumerate(materials.sets)
        for part in slices(len(one.images), _ROWS)
    ]
    seed = np.array([materials.seed], np.int64)
    tasks = [
        Task(program, _shared(materials, materials.sets[i]), (seed, rows)) for i, rows in parts
    ]
    found: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in materials.sets]
    for (i, _), (changes, solved) in zip(parts, materials.runner.results(tasks), strict=True):
        found[i].append((changes.astype(np.float64), solved[:, 0]))
    return [
        (np.concatenate([a for a, _ in one]), np.concatenate([b for _, b in one])) for one in found
    ]


def _training(materials: Materials) -> tuple[SetTraining, str, tuple[str, ...]]:
    pool, sizes = materials.pools[0].pool, materials.sizes
    training = SetTraining(
        pool.info.network,
        materials.dataset.num_classes,
        sizes.steps,
        sizes.learning_rate,
        MOMENTUM,
    )
    return training, pool.transform.kind, tuple(pool.transform.to_arrays())


def _shared(materials: Materials, one: StudiedSet) -> tuple[np.ndarray, ...]:
    arrays = materials.pools[0].pool.transform.to_arrays()
    return one.images, one.classes, *materials.tests, *arrays.values()


def _picture(
    one: StudiedSet,
    tests: np.ndarray,
    order: np.ndarray,
    shown: Sequence[int],
    pixel_range: tuple[float, float],
) -> bytes:
    """Return a PNG of images of a set, each with those that it influences most to its right."""
    learned = shown_pixels(one.images[list(shown)], pixel_range)
    chosen = order[list(shown)]
    others = shown_pixels(tests[chosen.ravel()], pixel_range)
    h, w = learned.shape[1:3]
    shrink = max(-(-max(h, w) // _SIDE), 1)
    learned, others = learned[:, ::shrink, ::shrink], others[:, ::shrink, ::shrink]
    h, w = learned.shape[1:3]
    count = chosen.shape[1]
    wide = (count + 1) * (w + _GAP) + 2 * _GAP
    rows = -(-len(shown) // _COLUMNS)
    canvas = np.ones((rows * (h + _GAP) - _GAP, _COLUMNS * (wide + 3 * _GAP), *learned.shape[3:]))
    for i, image in enumerate(learned):
        top, left = i // _COLUMNS * (h + _GAP), i % _COLUMNS * (wide + 3 * _GAP)
        canvas[top : top + h, left : left + w] = image
        for j in range(count):
            start = left + (j + 1) * (w + _GAP) + 2 * _GAP
            canvas[top : top + h, start : start + w] = others[i * count + j]
    drawn_image = Image.fromarray(np.round(canvas * 255).astype(np.uint8))
    if drawn_image.mode == "RGB":  # A quarter of the bytes, and no eye sees it at this size.
        drawn_image = drawn_image.quantize(256)
    return png_of(drawn_image)


def present(table: Table) -> Section:
    """Return what the page says."""
    tests = [_above_chance(one, table.base) for one in table.sets]
    verdicts = [
        by_test(float(np.mean(one.own)) - table.base, p)
        for one, p in zip(table.sets, tests, strict=True)
    ]
    shares = ", ".join(f"{one.name} {_mean(one.own)} %" for one in table.sets)
    sentence = (
        f"Of the {MOST} test images whose loss rises most without a distilled image, those of its "
        f"class are: {shares}; of all test images {percent(table.base)} % are. By Wilcoxon's "
        f"signed-rank test over the images of a set, against that share, it is "
        f"{counted(verdicts)} sets."
    )
    asked = any(one.damping is not None for one in table.sets)
    head = (
        *("set", "images", f"of their class among the {MOST}, %", "largest rise of a loss"),
        *(["rank correlation with influence functions", "damping"] if asked else []),
        "p, above chance",
    )
    rows = [
        (
            *(one.name, f"{len(one.images):,}", _mean(one.own)),
            f"{max(value for image in one.images for value in image.changes):.3g}",
            *(_agreement(one) if asked else ()),
            chance(p),
        )
        for one, p in zip(table.sets, tests, strict=True)
    ]
    caption = (
        f"Leave one out: a {table.network} trained from the same weights on each set without each "
        f"of its images, and asked for {table.tests:,} test images."
    )
    notes = ["With one image a class, leaving it out removes the class."]
    if asked:
        notes.append(
            "Influence functions stand in for training again by the inverse of the damped Hessian; "
            "the damping is the largest that an image of the set needed for it to be positive."
        )
    charts = [_chart(table), *(_shown(one) for one in table.sets)]
    finding = Finding(_CONCLUSION, overall(verdicts), sentence)
    return Section((finding,), tuple(charts), caption, tuple(head), tuple(rows), tuple(notes))


def _mean(shares: Sequence[float]) -> str:
    return f"{100 * float(np.mean(shares)):.1f}"


def _agreement(one: Influences) -> tuple[str, str]:
    found = [image.agreement for image in one.images if image.agreement is not None]
    if one.damping is None or not found:
        return "-", "-"
    deviation = f" ± {np.std(found, ddof=1):.2f}" if len(found) > 1 else ""
    return f"{np.mean(found):.2f}{deviation}", f"{one.damping:g}"


def _above_chance(one: Influences, base: float) -> float | None:
    differences = np.array(one.own) - base
    if np.count_nonzero(differences) < _FEWEST:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Of fewer than ten, that they are few.
        return float(stats.wilcoxon(differences, method="approx").pvalue)


def _shown(one: Influences) -> Chart:
    some = "" if one.shown == len(one.images) else f", {one.shown} of its {len(one.images)} images"
    title = f"{one.name}{some}: each image, and the test images that it influences most"
    alt = f"{title}. Of its class are {_mean(one.own)} % of these."
    return Chart(f"influence-{one.name}", base64.b64decode(one.picture), title, alt)


def _chart(table: Table) -> Chart:
    bins = np.linspace(-0.5, MOST + 0.5, MOST + 2)

    def draw(axes: Axes) -> None:
        for i, one in enumerate(table.sets):
            shares = np.histogram(np.array(one.own) * MOST, bins)[0] / len(one.own)
            colour = SERIES[i % len(SERIES)][0]
            axes.stairs(100 * shares, bins, color=colour, linewidth=1.6, label=one.name)
        axes.axvline(table.base * MOST, color="#888888", linewidth=1, linestyle=":")
        axes.set(xlabel=f"of their class among the {MOST}", ylabel="images of the set, %")
        clean_with_legend_above(axes)

    title = f"Of its class, among the {MOST} test images that an image influences most"
    parts = [f"{one.name}: {_mean(one.own)} % on average" for one in table.sets]
    return Chart("influence", drawn(2.9, draw), title, f"{title}. {'; '.join(parts)}.")
