"""What networks are trained on, checked, and its batches."""

import dataclasses
import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from stillhouse.data.arrays import as_images, as_labels
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.sampling import rng_for

Array = jax.Array | np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingSet:
    """Images, and what the outputs of a network are compared with.

    Attributes:
        images: float32 `[s, h, w, c]`.
        targets: float32 `[s, k]`.
    """

    images: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(
        cls,
        loss: str,
        images: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
        *,
        label_scale: float | None = None,
    ) -> "TrainingSet":
        """Return the training set of images and labels.

        Args:
            loss: "mse" takes labels `[s, k]`, or centred classes, scaled; "xent" makes one-hot
                targets of the class where a label is largest.
            images: `[s, h, w, c]`.
            labels: `[s, k]`, or integer classes `[s]`.
            num_classes: k, where labels are classes.
            label_scale: the root mean square of the targets of "mse", in units of that of centred
                one-hot labels; None leaves labels as they are.

        Raises:
            ValueError: if shapes do not agree, a value is not finite, or a class is unknown.
        """
        images = as_images(images, "`images`").astype(np.float32, copy=False)
        labels = np.asarray(labels)
        if labels.ndim == 1:
            labels = centred_one_hot(as_labels(labels, "`labels`"), num_classes)
        if labels.ndim != 2 or len(labels) != len(images) or labels.shape[1] < 2:
            raise ValueError(
                f"`labels` must be [{len(images)}, k] or [{len(images)}], got shape {labels.shape}"
            )
        if not np.isfinite(labels).all():
            raise ValueError("`labels` must be finite, and some are NaN or infinite")
        if loss == "xent":
            labels = np.eye(labels.shape[1])[labels.argmax(axis=1)]
        elif label_scale is not None:
            labels = labels * _factor(labels, label_scale)
        return cls(images, labels.astype(np.float32))

    def batches(self, size: int, seed: int) -> Iterator[tuple[Array, Array]]:
        """Yield batches of images and targets for ever: a pure function of the seed.

        They are all images where these are no more than `size`; else the next `size` of random
        orders of them, one after another.
        """
        count = len(self.images)
        if count <= size:
            whole = jnp.asarray(self.images), jnp.asarray(self.targets)  # A device gets them once.
            while True:
                yield whole
        waiting, epoch = np.empty(0, np.int64), 0
        while True:
            while len(waiting) < size:
                order = rng_for(seed, "training batches", epoch).permutation(count)
                waiting, epoch = np.concatenate([waiting, order]), epoch + 1
            chosen, waiting = waiting[:size], waiting[size:]
            yield self.images[chosen], self.targets[chosen]


def _factor(labels: np.ndarray, scale: float) -> np.float32:
    """Return what brings labels to `scale` times the size of centred one-hot ones, if it can."""
    size, classes = math.sqrt(np.mean(np.square(labels, dtype=np.float64))), labels.shape[1]
    return np.float32(scale * math.sqrt(classes - 1) / classes / size if size else 1.0)
