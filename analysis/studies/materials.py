"""What a study works with: sets, networks that were trained on real images, and these images."""

import dataclasses
import functools
import hashlib
from collections.abc import Sequence

import numpy as np

from stillhouse.analysis.studies.sizes import StudySizes
from stillhouse.data.dataset import Dataset
from stillhouse.data.sampling import class_balanced_indices, rng_for
from stillhouse.methods.tasks import TaskRunner
from stillhouse.networks.pool import Pool


@dataclasses.dataclass(frozen=True, eq=False)
class StudiedSet:
    """A set, in the scale of the real images, so that any network may see it.

    Attributes:
        name: what tables call it.
        images: raw, its transform undone, float32 `[s, h, w, c]`.
        labels: float32 `[s, k]`, centred.
        method: what made it; None where unknown.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    method: str | None = None

    @property
    def classes(self) -> np.ndarray:
        """The class of each image, where its label is largest, int64 `[s]`."""
        return self.labels.argmax(axis=1).astype(np.int64)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of images and labels."""
        digest = hashlib.sha256(f"{self.images.shape} {self.labels.shape}".encode())
        for array in (self.images, self.labels):
            digest.update(np.ascontiguousarray(array, "<f4").tobytes())
        return digest.hexdigest()


@dataclasses.dataclass(frozen=True, eq=False)
class StudiedPool:
    """Networks trained on real images.

    Attributes:
        name: what tables call them.
        pool: the networks.
    """

    name: str
    pool: Pool


@dataclasses.dataclass(frozen=True, eq=False)
class Materials:
    """All that a study works with.

    Attributes:
        sets: the sets.
        pools: the pools; the first one says which network is trained, and through which transform
            it sees images.
        dataset: the real images.
        seed: of what is drawn, and of the first network that is trained.
        sizes: how large the study is.
        runner: computes tasks.
    """

    sets: Sequence[StudiedSet]
    pools: Sequence[StudiedPool]
    dataset: Dataset
    seed: int
    sizes: StudySizes
    runner: TaskRunner

    @property
    def along(self) -> Pool:
        """The first pool with weights along training.

        Raises:
            StopIteration: if there is none; whoever calls a study sees to it.
        """
        return next(one.pool for one in self.pools if one.pool.steps)

    @functools.cached_property
    def tests(self) -> tuple[np.ndarray, np.ndarray]:
        """The test images that are answered, raw `[m, h, w, c]`, and their classes int64 `[m]`."""
        x, y, count = self.dataset.x_test, self.dataset.y_test, self.sizes.test_images
        if not 0 < count < len(y):
            return x, y
        chosen = class_balanced_indices(y, count, rng_for(self.seed, "study test images"))
        return x[np.sort(chosen)], y[np.sort(chosen)]

    def real_rows(self, per_class: int, *stream: int | str) -> np.ndarray:
        """Return rows of training images, as many of each class, int64 `[per_class * k]`.

        Args:
            per_class: how many of each.
            *stream: names and numbers that say what they are for.

        Raises:
            ValueError: if a class has too few.
        """
        if not per_class:
            return np.empty(0, np.int64)
        rng = rng_for(self.seed, "study real images", *stream)
        return class_balanced_indices(
            self.dataset.y_train, per_class * self.dataset.num_classes, rng
        )

    @property
    def most_per_class(self) -> int:
        """The training images of the class that has fewest."""
        return int(np.bincount(self.dataset.y_train).min())
