"""How well a support set predicts: KRR on images it was not made for."""

import dataclasses
from collections.abc import Iterable

import numpy as np

from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.computer import KernelComputer
from stillhouse.methods.ridge import krr_weights


@dataclasses.dataclass(frozen=True)
class Scores:
    """The scores of a support set.

    Attributes:
        accuracy: the share of images whose predicted and true labels have the same argmax.
        mse: 1/2 of the mean squared error over all entries of the labels, as published.
    """

    accuracy: float
    mse: float


def evaluate_krr(
    computer: KernelComputer,
    spec: KernelSpec,
    images: np.ndarray,
    labels: np.ndarray,
    chunks: Iterable[tuple[np.ndarray, np.ndarray]],
    regularisation: float = 1e-6,
) -> Scores:
    """Score the KRR predictor of a support set.

    Memory is that of one chunk; sums are float64.

    Args:
        computer: who computes the kernels.
        spec: the kernel.
        images: the support images, float32 `[s, h, w, c]`.
        labels: their labels, `[s, k]`.
        chunks: the images to predict in their own chunks, `[n, h, w, c]`, with their labels,
            centred one-hot, `[n, k]`.
        regularisation: the ridge as a share of the mean diagonal of K_ss.

    Raises:
        ValueError: if shapes do not agree or there is no chunk.
        FloatingPointError: if the kernel or the predictions are not finite.
    """
    weights = krr_weights(computer.gram(spec, images), labels, regularisation=regularisation)
    count, correct, squares = 0, 0, 0.0
    for x, y in chunks:
        if np.shape(y) != (len(x), weights.shape[1]):
            raise ValueError(
                f"the labels of a chunk must be [{len(x)}, {weights.shape[1]}], got shape "
                f"{np.shape(y)}"
            )
        predictions = computer.cross(spec, x, images).astype(np.float64) @ weights
        correct += int(np.sum(predictions.argmax(axis=1) == y.argmax(axis=1)))
        squares += float(np.sum((predictions - y.astype(np.float64)) ** 2))
        count += len(x)
    if not count:
        raise ValueError("`chunks` holds no images to evaluate on")
    if not np.isfinite(squares):
        raise FloatingPointError("the predictions hold NaN or infinite values")
    return Scores(correct / count, squares / (2 * count * weights.shape[1]))
