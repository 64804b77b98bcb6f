"""How many numbers it takes to say which image it is: the dimension that images fill."""

import dataclasses

import numpy as np
from sklearn.neighbors import NearestNeighbors

from stillhouse.data.sampling import rng_for

_RESAMPLED = 200
FEWEST = 10


@dataclasses.dataclass(frozen=True)
class Dimension:
    """The intrinsic dimension of a set of points.

    Attributes:
        estimate: of the dimension.
        error: its standard error, over resampled points.
        points: how many different ones there are.
    """

    estimate: float
    error: float
    points: int


def two_nn_dimension(
    points: np.ndarray, *, discard: float = 0.1, seed: int = 0, resampled: int = _RESAMPLED
) -> Dimension:
    """Return the intrinsic dimension of points by their two nearest neighbours.

        mu = r2 / r1 has 1 - F(mu) = mu^-d,  so d is the slope of -log(1 - F) by log mu

    through the origin, with the largest ratios left out. It takes points to be as dense as each
    other within a few neighbours; of few points it is too small where d is large, so compare it
    with that of as many others.

    Args:
        points: any arrays `[n, ...]`, 10 or more different ones.
        discard: the share of the largest ratios that is left out.
        seed: of the resampling.
        resampled: how often the ratios are drawn again for the error; 0 for none, which is NaN.

    Raises:
        ValueError: if there are too few different points.

    References:
        Facco, d'Errico, Rodriguez, Laio. Estimating the intrinsic dimension of datasets by a
        minimal neighborhood information. Scientific Reports 7, 2017,
        https://arxiv.org/abs/1803.06992
        Nguyen, Novak, Xiao, Lee. Dataset Distillation with Infinitely Wide Convolutional
        Networks. NeurIPS 2021, https://arxiv.org/abs/2107.13034 (of distilled images)
    """
    flat = np.unique(np.reshape(points, (len(points), -1)).astype(np.float64), axis=0)
    if len(flat) < FEWEST:
        raise ValueError(
            f"an intrinsic dimension needs {FEWEST} different points or more, got {len(flat)}"
        )
    near, _ = NearestNeighbors(n_neighbors=3).fit(flat).kneighbors(flat)
    ratios = near[:, 2] / near[:, 1]
    rng = rng_for(seed, "intrinsic dimension")
    drawn = rng.integers(0, len(ratios), (resampled, len(ratios)))
    again = [_slope(ratios[rows], discard) for rows in drawn]
    error = float(np.std(again, ddof=1)) if resampled > 1 else float("nan")
    return Dimension(_slope(ratios, discard), error, len(flat))


def _slope(ratios: np.ndarray, discard: float) -> float:
    count = len(ratios)
    x = np.log(np.sort(ratios))
    y = -np.log1p(-np.arange(count) / count)
    kept = slice(0, max(round((1 - discard) * count), 2))
    square = float(x[kept] @ x[kept])
    return float(x[kept] @ y[kept]) / square if square else np.inf
