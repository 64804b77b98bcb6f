"""How are the pixels of distilled images spread, in the scale of the real ones?"""

import dataclasses

import numpy as np
from matplotlib.axes import Axes
from scipy import stats

from stillhouse.analysis.drawing import FAINT, short
from stillhouse.analysis.report.charts import SERIES, Chart, clean_with_legend_above, drawn
from stillhouse.analysis.studies.findings import (
    NOT_SEEN,
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

_CONCLUSION = "Distilled images have pixels that no real image has: values outside their range."
_BINS = 80
_REAL_IMAGES = 2000
# Of the real range: what rounding leaves where a transform is applied and undone.
_ROUNDING = 1e-3


@dataclasses.dataclass(frozen=True)
class Spread:
    """The pixels of some images.

    Attributes:
        name: of the set.
        low: the smallest value.
        high: the largest.
        outside: the share of values outside the real range.
        density: of values, in units of the real range: one for each bin. Beyond the bins are two in
            a thousand at most.
        p: of a two-sided Mann-Whitney test of the shares outside, image by image, against those of
            real images; None for these.
    """

    name: str
    low: float
    high: float
    outside: float
    density: tuple[float, ...]
    p: float | None


@dataclasses.dataclass(frozen=True)
class Table:
    """What was measured.

    Attributes:
        low: the smallest value of the real training images.
        high: the largest.
        edges: of the bins, in raw values.
        sets: the sets.
        real: some of the training images.
    """

    low: float
    high: float
    edges: tuple[float, ...]
    sets: tuple[Spread, ...]
    real: Spread


def compute(materials: Materials) -> Table:
    """Count the values of all sets, and of some real images."""
    low, high = materials.dataset.pixel_range
    most = min(materials.most_per_class, max(1, _REAL_IMAGES // materials.dataset.num_classes))
    real = materials.dataset.x_train[materials.real_rows(most, "pixels")].astype(np.float32)
    shown = {one.name: one.images for one in materials.sets}
    # The most extreme thousandths of each set are not shown: a few values would stretch the axis,
    # and put into the last bin they would look like many there.
    ends = [np.percentile(images, [0.1, 99.9]) for images in shown.values()]
    first = min(low, *(float(end[0]) for end in ends))
    last = max(high, *(float(end[1]) for end in ends))
    # Bins of whole steps where values are whole: else some would hold one value more than others.
    edges = np.linspace(first, last, _BINS + 1)
    if materials.dataset.x_train.dtype == np.uint8:
        width = max(1, round((last - first) / _BINS))
        edges = np.arange(np.floor(first) - 0.5, last + width, width)
    outside_real = _outside(real, low, high)

    def spread(name: str, images: np.ndarray) -> Spread:
        share = _outside(images, low, high)
        p = None
        if images is not real:
            p = float(stats.mannwhitneyu(share, outside_real, alternative="two-sided").pvalue)
        counts, _ = np.histogram(images, edges)
        density = counts / images.size / np.diff(edges) * (high - low)
        ends = float(images.min()), float(images.max())
        return Spread(name, *ends, float(share.mean()), tuple(density.tolist()), p)

    sets = tuple(spread(name, images) for name, images in shown.items())
    return Table(low, high, tuple(edges.tolist()), sets, spread("real images", real))


def _outside(images: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return of each image the share of its values outside a range, float64 `[n]`."""
    room = _ROUNDING * (high - low)
    beyond = (images < low - room) | (images > high + room)
    return beyond.reshape(len(images), -1).mean(axis=1)


def present(table: Table) -> Section:
    """Return what the page says."""
    real = table.real.outside
    verdicts = [
        by_test(one.outside - real, one.p) if one.outside > real else NOT_SEEN for one in table.sets
    ]
    shares = least_to_largest({one.name: one.outside for one in table.sets})
    sentence = (
        f"{shares} of the values lie outside the range of real pixels, {table.low:g} to "
        f"{table.high:g}, of real images {percent(real)} %; by a Mann-Whitney test of the images' "
        f"shares against those of real images it is {counted(verdicts)} sets."
    )
    head = ("set", "least", "largest", "outside, %", "p, against real")
    rows = tuple(
        (one.name, f"{one.low:.4g}", f"{one.high:.4g}", percent(one.outside), chance(one.p))
        for one in (*table.sets, table.real)
    )
    caption = (
        "Values of pixels with each set's transform undone, in the scale of the real images, and "
        "the share of them outside the range of the training images."
    )
    finding = Finding(_CONCLUSION, overall(verdicts), sentence)
    return Section((finding,), (_chart(table),), caption, head, rows)


def _chart(table: Table) -> Chart:
    def draw(axes: Axes) -> None:
        edges = np.array(table.edges)
        axes.stairs(table.real.density, edges, fill=True, color=FAINT, label=table.real.name)
        for i, one in enumerate(table.sets):
            style = ("-", "--", ":")[i // len(SERIES) % 3]
            colour = SERIES[i % len(SERIES)][0]
            axes.stairs(
                one.density, edges, color=colour, linestyle=style, linewidth=1.4,
                label=short(one.name, 20),
            )  # fmt: skip
        for end in (table.low, table.high):
            axes.axvline(end, color="#888888", linewidth=1, linestyle=":")
        axes.set(xlabel="value of a pixel", ylabel="density", yscale="log")
        clean_with_legend_above(axes)

    title = "Values of pixels in the scale of the real images; dotted: the real range"
    parts = [
        f"{one.name}: {one.low:.4g} to {one.high:.4g}, {percent(one.outside)} % outside"
        for one in (*table.sets, table.real)
    ]
    return Chart("pixels", drawn(3.2, draw), title, f"{title}. {'; '.join(parts)}.")
