"""Class labels as regression targets."""

import numpy as np

from stillhouse.data.arrays import as_labels, check_classes


def centred_one_hot(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return one-hot labels minus their mean: `1 - 1/k` at the class, `-1/k` elsewhere.

    The rows sum to zero, so that a kernel regression that knows nothing answers zero.

    Args:
        labels: integers `[n]`.
        num_classes: the number of classes k.

    Returns:
        float32 `[n, k]`.

    Raises:
        ValueError: if a label is not a whole number or lies outside the classes.

    References:
        Nguyen, Chen, Lee. Dataset Meta-Learning from Kernel Ridge-Regression. ICLR 2021,
        https://arxiv.org/abs/2011.00050
    """
    if num_classes < 1:
        raise ValueError(f"`num_classes` must be positive, got {num_classes}")
    classes = as_labels(labels, "`labels`")
    check_classes(classes, num_classes, "`labels`")
    # Not rows of an identity matrix, which would be as large as the classes squared.
    centred = np.full((len(classes), num_classes), -np.float32(1.0 / num_classes), np.float32)
    centred[np.arange(len(classes)), classes] = np.float32(1.0) - np.float32(1.0 / num_classes)
    return centred


def class_targets(labels: np.ndarray) -> np.ndarray:
    """Return one-hot labels of the class where each is largest, float32 `[s, k]`."""
    return np.eye(labels.shape[1], dtype=np.float32)[labels.argmax(axis=1)]


def soft_targets(labels: np.ndarray) -> np.ndarray:
    """Return labels with the 1/k that centring took from them, float32 `[s, k]`."""
    return (labels + np.float32(1 / labels.shape[1])).astype(np.float32)
