"""What the numbers of a set say: how its labels vary together, and how its pixels are spread."""

import dataclasses
import math

import numpy as np

_BINS = 60
_LEVELS = 64
_REAL_IMAGES = 2000


def label_covariance(labels: np.ndarray) -> np.ndarray:
    """Return the covariance of the label columns over the support set, float64 `[k, k]`.

    Args:
        labels: `[s, k]`.

    References:
        Nguyen, Novak, Xiao, Lee. Dataset Distillation with Infinitely Wide Convolutional
        Networks. NeurIPS 2021, https://arxiv.org/abs/2107.13034 (the labels of Label Solve)
    """
    centred = labels.astype(np.float64) - labels.mean(axis=0, dtype=np.float64)
    return centred.T @ centred / len(labels)


def correlation(covariance: np.ndarray) -> np.ndarray:
    """Return the correlation of a covariance `[k, k]`; zero beside a column that never varies."""
    deviations = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    varies = deviations > 1e-9 * max(float(deviations.max()), 1e-300)
    scale = np.where(varies, deviations, 1.0)
    result = covariance / np.outer(scale, scale) * np.outer(varies, varies)
    return np.clip(result, -1.0, 1.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Histogram:
    """How the values of pixels are spread.

    Attributes:
        edges: of the bins, float64 `[b + 1]`; the outermost bins hold all that lies beyond.
        shares: by name, the share of pixels in each bin, float64 `[b]`.
    """

    edges: np.ndarray
    shares: dict[str, np.ndarray]


def pixel_histogram(images: dict[str, np.ndarray], *, bins: int = _BINS) -> Histogram:
    """Return the histograms of several sets of images over the same bins.

    The bins cover all but the most extreme thousandth of each set, on either side. Where a set has
    few different values, such as the 17 of the digits, every bin holds as many of them.

    Args:
        images: by name, arrays of any shape.
        bins: how many bins there are about, b.
    """
    ends = np.array([np.percentile(values, [0.1, 99.9]) for values in images.values()])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    if not high > low:
        low, high = low - 0.5, high + 0.5
    width = (high - low) / bins
    for values in images.values():
        grid = _spacing(values)
        if grid is not None:
            start, step = grid
            width = step * max(round(width / step), 1)
            low = start - step / 2 - width * math.ceil(max(start - step / 2 - low, 0.0) / width)
            bins = math.ceil((high - low) / width)
    edges = low + width * np.arange(bins + 1)
    shares = {
        name: np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / values.size
        for name, values in images.items()
    }
    return Histogram(edges, shares)


def _spacing(values: np.ndarray) -> tuple[float, float] | None:
    """Return the smallest value and the distance between values, where these are on a grid."""
    different = np.unique(values).astype(np.float64)
    if not 1 < len(different) <= _LEVELS:
        return None
    steps = np.diff(different)
    even = steps.max() - steps.min() <= 1e-3 * steps.mean()
    return (float(different[0]), float(steps.mean())) if even else None


def some_images(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return at most 2,000 of the images, drawn at random: enough for a histogram."""
    if len(images) <= _REAL_IMAGES:
        return images
    return images[np.sort(rng.permutation(len(images))[:_REAL_IMAGES])]
