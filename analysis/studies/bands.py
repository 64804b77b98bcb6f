"""Which part of a kernel's spectrum a set of images classifies with."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Band:
    """A part of the eigenvalues of a kernel matrix.

    Attributes:
        largest: of its eigenvalues.
        smallest: of its eigenvalues.
        accuracy: of predictions by its eigenvectors alone.
    """

    largest: float
    smallest: float
    accuracy: float


def band_accuracies(
    K_ss: np.ndarray, y_s: np.ndarray, K_ts: np.ndarray, classes: np.ndarray, *, bands: int = 5
) -> list[Band]:
    """Return how well each part of the spectrum of K_ss predicts, the largest eigenvalues first.

        p_B = K_ts V_B Lambda_B^-1 V_B^T y_s

    with the eigenvectors V_B of one band: kernel regression without a ridge, of which the
    predictions of all bands are the sum. Float64.

    Args:
        K_ss: kernel of the set, symmetric `[s, s]`.
        y_s: its labels `[s, k]`.
        K_ts: kernel of test images with it, `[t, s]`.
        classes: of the test images, integers `[t]`.
        bands: parts with as many eigenvalues each, as near as can be.

    Raises:
        ValueError: if there are fewer eigenvalues than bands, or one is not positive.

    References:
        Nguyen, Novak, Xiao, Lee. Dataset Distillation with Infinitely Wide Convolutional
        Networks. NeurIPS 2021, https://arxiv.org/abs/2107.13034 (figure 8)
    """
    if not 1 <= bands <= len(K_ss):
        raise ValueError(f"{len(K_ss)} images have no spectrum of {bands} bands")
    values, vectors = np.linalg.eigh(np.asarray(K_ss, np.float64))
    if not values[0] > 0:
        raise ValueError(
            f"the kernel of the set is singular (its smallest eigenvalue is {values[0]:.3g}): two "
            "images are too much alike"
        )
    values, vectors = values[::-1], vectors[:, ::-1]
    found = []
    for part in np.array_split(np.arange(len(values)), bands):
        weights = vectors[:, part] / values[part] @ (vectors[:, part].T @ y_s)
        right = (K_ts @ weights).argmax(axis=1) == classes
        found.append(Band(float(values[part[0]]), float(values[part[-1]]), float(right.mean())))
    return found
