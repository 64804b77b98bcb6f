"""With which part of a kernel's spectrum do distilled images classify, beside real ones?"""

import dataclasses

import numpy as np
from matplotlib.axes import Axes

from stillhouse.analysis.report.charts import SERIES, Chart, clean_with_legend_above, drawn
from stillhouse.analysis.studies.bands import Band, band_accuracies
from stillhouse.analysis.studies.dimension import DRAWS, real_draws, two_sided
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
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.transforms import fit_transform
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.architectures import build_architecture, parse_ensemble
from stillhouse.methods.kernel_regression.tiled import TiledComputer

_CONCLUSION = "Distilled images use all of a kernel's spectrum, real ones its largest part."
_BANDS = 5
_MOST_TESTS = 500


@dataclasses.dataclass(frozen=True)
class Spread:
    """A set, and as many real images.

    Attributes:
        name: of the set.
        images: how many.
        bands: of its spectrum, the largest eigenvalues first; none where its kernel is singular.
        real: the accuracies of the bands of draws of as many real images of the same classes.
    """

    name: str
    images: int
    bands: tuple[Band, ...]
    real: tuple[tuple[float, ...], ...]

    @property
    def tail(self) -> float:
        """The mean accuracy of all bands but the first."""
        return float(np.mean([band.accuracy for band in self.bands[1:]]))

    @property
    def real_tails(self) -> list[float]:
        """The same of each draw of real images."""
        return [float(np.mean(draw[1:])) for draw in self.real]


@dataclasses.dataclass(frozen=True)
class Table:
    """What was measured.

    Attributes:
        kernel: in words.
        tests: how many test images were predicted.
        sets: the sets.
    """

    kernel: str
    tests: int
    sets: tuple[Spread, ...]


def compute(materials: Materials) -> Table:
    """Predict test images by each band of the spectrum of each set, and of as many real images."""
    ((name, depth),) = parse_ensemble((materials.sizes.kernel,))
    spec = KernelSpec(build_architecture(name, depth), "ntk")
    transform = fit_transform("standardise", materials.dataset.x_train)
    tests, answers = (part[:: -(-len(part) // _MOST_TESTS)] for part in materials.tests)
    computer, seen = TiledComputer(materials.runner), transform.apply(tests)
    found = []
    for one in materials.sets:

        def accuracies(images: np.ndarray, labels: np.ndarray) -> list[Band]:
            x = transform.apply(images)
            K_ss, K_ts = computer.forward(spec, x, seen)
            return band_accuracies(K_ss, labels, K_ts, answers, bands=_BANDS)

        hard = centred_one_hot(one.classes, materials.dataset.num_classes)
        if len(one.images) < _BANDS:
            found.append(Spread(one.name, len(one.images), (), ()))
            continue
        try:
            bands = tuple(accuracies(one.images, one.labels))
        except ValueError:  # A singular kernel: the set has one image twice.
            found.append(Spread(one.name, len(one.images), (), ()))
            continue
        real = tuple(
            tuple(band.accuracy for band in accuracies(images, hard))
            for images in real_draws(materials, one.classes, DRAWS)
        )
        found.append(Spread(one.name, len(one.images), bands, real))
    return Table(f"NTK of {name}:{depth}", len(tests), tuple(found))


def present(table: Table) -> Section:
    """Return what the page says."""
    tests = [two_sided(one.tail, one.real_tails) if one.bands else None for one in table.sets]
    verdicts = [
        by_test(one.tail - float(np.median(one.real_tails)) if one.bands else 0.0, p)
        for one, p in zip(table.sets, tests, strict=True)
    ]
    told = [
        f"{one.name} {percent(one.tail)} % for {100 * np.mean(one.real_tails):.1f} %"
        for one in table.sets
        if one.bands
    ]
    sentence = (
        f"Mean accuracy of the four lower fifths of the spectrum, for that of as many real images: "
        f"{', '.join(told) or 'of none'}; by the rank of a set among {DRAWS} draws of real images "
        f"it is {counted(verdicts)} sets."
    )
    head = ("set", "images", *(f"fifth {i + 1}, %" for i in range(_BANDS)), "p, no more")
    rows: list[tuple[str, ...]] = []
    for one, p in zip(table.sets, tests, strict=True):
        own = [percent(band.accuracy) for band in one.bands] or ["-"] * _BANDS
        rows.append((one.name, f"{one.images:,}", *own, chance(p)))
        if one.real:
            means = [percent(column) for column in zip(*one.real, strict=True)]
            rows.append((f"as many real images as {one.name}", f"{one.images:,}", *means, "-"))
    caption = (
        f"Accuracy on {table.tests:,} test images of kernel regression without a ridge by each "
        f"fifth of the eigenvalues of K_ss, the largest first; {table.kernel}."
    )
    notes = ("Sets whose kernel is singular, or with fewer images than fifths, have no bands.",)
    finding = Finding(_CONCLUSION, overall(verdicts), sentence)
    charts = (_chart(table),) if told else ()
    return Section((finding,), charts, caption, head, tuple(rows), notes)


def _chart(table: Table) -> Chart:
    sets = [one for one in table.sets if one.bands]

    def draw(axes: Axes) -> None:
        fifths = range(1, _BANDS + 1)
        for i, one in enumerate(sets):
            colour, marker = SERIES[i % len(SERIES)]
            shares = [100 * band.accuracy for band in one.bands]
            axes.plot(fifths, shares, color=colour, marker=marker, label=one.name)
        for i, one in enumerate(sets):
            means = 100 * np.mean(one.real, axis=0)
            label = "as many real images" if not i else None
            axes.plot(fifths, means, color="#888888", linestyle="--", linewidth=1, label=label)
        axes.set(xlabel="fifth of the spectrum, the largest first", ylabel="test accuracy, %")
        axes.set_xticks(fifths)
        clean_with_legend_above(axes)

    title = "Accuracy by each fifth of the spectrum of the set's kernel"
    parts = [f"{o.name}: " + ", ".join(f"{b.accuracy:.1%}" for b in o.bands) for o in sets]
    return Chart("spectrum", drawn(3.0, draw), title, f"{title}. {'; '.join(parts)}.")
