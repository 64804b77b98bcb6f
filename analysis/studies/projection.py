"""Features of many numbers as points of a plane."""

import dataclasses
import importlib
import warnings
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

_NEIGHBOURS = 5


@dataclasses.dataclass(frozen=True, eq=False)
class Plane:
    """Points of a plane.

    Attributes:
        points: float64 `[n, 2]`.
        method: "UMAP" or "PCA".
        explained: of PCA, the share of the variance that the plane shows; None of UMAP.
    """

    points: np.ndarray
    method: str
    explained: float | None = None


def onto_plane(features: np.ndarray, *, seed: int) -> Plane:
    """Return features as points of a plane: by UMAP where it is installed, else by PCA.

    UMAP keeps near what is near; PCA keeps distances as far as two directions can.

    Args:
        features: `[n, d]`, with n of 3 or more and d of 2 or more.
        seed: of UMAP.

    References:
        McInnes, Healy, Melville. UMAP: Uniform Manifold Approximation and Projection for Dimension
        Reduction. 2018, https://arxiv.org/abs/1802.03426
    """
    umap = _umap()
    if umap is None:
        pca = PCA(n_components=2, svd_solver="full").fit(features)
        return Plane(pca.transform(features), "PCA", float(pca.explained_variance_ratio_.sum()))
    neighbours = min(_NEIGHBOURS, len(features) - 1)
    # With a seed it is one thread's work, and says so unless it is asked for.
    reducer = umap(n_neighbors=neighbours, random_state=seed, n_jobs=1)
    return Plane(np.asarray(reducer.fit_transform(features), np.float64), "UMAP")


def _umap() -> Any:
    """Return the class `UMAP`; None where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)  # Of a part of it that we do not use.
            return importlib.import_module("umap").UMAP  # It compiles for half a minute.
    except (ImportError, AttributeError):  # A folder may stay of what was uninstalled.
        return None


def nearest_alike(
    features: np.ndarray,
    classes: np.ndarray,
    real: np.ndarray,
    real_classes: np.ndarray,
    *,
    themselves: bool = False,
) -> np.ndarray:
    """Return of the five nearest real features of each feature which are of its class, bool.

    Args:
        features: `[n, d]`.
        classes: integers `[n]`.
        real: features of real images `[m, d]`.
        real_classes: integers `[m]`.
        themselves: whether the features are the real ones, none of which is its own neighbour.

    Returns:
        `[n, r]`, the nearest first; r is 5, or as many as there are.
    """
    count = min(_NEIGHBOURS, len(real) - themselves)
    search = NearestNeighbors(n_neighbors=count).fit(real)
    near = search.kneighbors(None if themselves else features, return_distance=False)
    found: np.ndarray = real_classes[near] == classes[:, None]
    return found
