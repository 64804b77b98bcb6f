"""What can be said of an image in plain numbers, and whether chosen images have it in common."""

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from stillhouse.data.sampling import rng_for

# Of red, green and blue, as ITU-R BT.601 has it.
_LUMA = np.array([0.299, 0.587, 0.114])
# Of Sobel's gradient, of intensities in 0..1: a step of an eighth between neighbouring pixels.
_EDGE = 0.5
# Of an image's side, on each of its sides.
_BORDER = 8
_BATCH = 1000


def attributes(images: np.ndarray, pixel_range: tuple[float, float]) -> dict[str, np.ndarray]:
    """Return attributes of images by name, each float64 `[n]`.

    Of colour images "red", "green" and "blue", the mean of each channel; of all images
    "brightness", the mean intensity; "contrast", its standard deviation; "edges", the share of
    pixels at which it changes steeply; and "background", its mean along the border.

    Args:
        images: raw, `[n, h, w, c]`; of other than three channels the mean is the intensity.
        pixel_range: the smallest and the largest value of pixels, which count as 0 and 1.
    """
    low, high = pixel_range
    parts = []
    for start in range(0, len(images), _BATCH):
        shown = (images[start : start + _BATCH].astype(np.float64) - low) / max(high - low, 1e-12)
        parts.append(_of_batch(shown))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _of_batch(images: np.ndarray) -> dict[str, np.ndarray]:
    _, h, w, channels = images.shape
    colour = channels == 3
    grey = images @ _LUMA if colour else images.mean(axis=3)
    steep = np.hypot(_slope(grey, 1, 2), _slope(grey, 2, 1)) > _EDGE
    rows, columns = max(h // _BORDER, 1), max(w // _BORDER, 1)
    border = np.ones((h, w), bool)
    border[rows : h - rows, columns : w - columns] = False
    means = images.mean(axis=(1, 2))
    colours = {name: means[:, i] for i, name in enumerate(("red", "green", "blue")) if colour}
    return {
        **colours,
        "brightness": grey.mean(axis=(1, 2)),
        "contrast": grey.std(axis=(1, 2)),
        "edges": steep.mean(axis=(1, 2)),
        "background": grey[:, border].mean(axis=1),
    }


def _slope(grey: np.ndarray, along: int, across: int) -> np.ndarray:
    """Return Sobel's derivative of images along one axis; SciPy's own smooths over images too."""
    smooth = ndimage.correlate1d(grey, [1.0, 2.0, 1.0], axis=across)
    found: np.ndarray = ndimage.correlate1d(smooth, [-1.0, 0.0, 1.0], axis=along)
    return found


@dataclasses.dataclass(frozen=True)
class Coherence:
    """Whether the members of groups are alike, beyond chance.

    Attributes:
        found: the statistic.
        chance: its mean over permutations.
        p_value: the share of permutations, and what was found among them, that are no less
            coherent.
    """

    found: float
    chance: float
    p_value: float


def spread_within(
    values: np.ndarray,
    groups: np.ndarray,
    *,
    permutations: int,
    seed: int,
    within: np.ndarray | None = None,
) -> Coherence:
    """Return the mean variance of a value within groups, by its variance over all: small is alike.

    Chance is what it is with the values of all images permuted, so that images which are in many
    groups stay in as many.

    Args:
        values: of all images, `[m]`.
        groups: the rows of the members of each group, integers `[s, r]`, r of 2 or more.
        permutations: how many.
        seed: of the permutations.
        within: classes `[m]`: values are permuted among images of one class, so that what all
            images of a class have in common does not count; None for among all.
    """
    total = max(float(values.var()), 1e-300)

    def statistic(order: np.ndarray) -> float:
        return float(values[order][groups].var(axis=1).mean()) / total

    return _against_chance(statistic, len(values), permutations, seed, within, larger=False)


def purity(classes: np.ndarray, groups: np.ndarray, *, permutations: int, seed: int) -> Coherence:
    """Return the mean share that the most common class has of a group, beside chance.

    Args:
        classes: of all images, integers `[m]`.
        groups: as of `spread_within`, and so are the next two.
        permutations: see there.
        seed: see there.
    """
    one_hot = np.eye(int(classes.max()) + 1)[classes]

    def statistic(order: np.ndarray) -> float:
        return float(one_hot[order][groups].mean(axis=1).max(axis=1).mean())

    return _against_chance(statistic, len(classes), permutations, seed, None, larger=True)


def _against_chance(
    statistic: Callable[[np.ndarray], float],
    count: int,
    permutations: int,
    seed: int,
    within: np.ndarray | None,
    *,
    larger: bool,
) -> Coherence:
    rng = rng_for(seed, "coherence")
    found = statistic(np.arange(count))
    kinds = np.zeros(count, np.int64) if within is None else within
    members = [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]
    others = np.empty(permutations)
    for number in range(permutations):
        order = np.arange(count)
        for rows in members:
            order[rows] = rng.permutation(rows)
        others[number] = statistic(order)
    # No less coherent, but for the last digits.
    slack = 1e-9 * abs(found)
    as_good = others >= found - slack if larger else others <= found + slack
    return Coherence(found, float(others.mean()), (1 + int(as_good.sum())) / (1 + permutations))
