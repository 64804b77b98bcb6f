"""The target batches of a run, and the dataset in chunks."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar

import numpy as np

from stillhouse.data.arrays import slices
from stillhouse.data.augmentation import Augmentation, augment
from stillhouse.data.dataset import Dataset
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.pixel_images import Images, seen_through
from stillhouse.data.sampling import check_class_balanced, class_balanced_indices, rng_for
from stillhouse.data.transforms import Transform

B = TypeVar("B", bound="TargetBatches")
Made = TypeVar("Made")


@dataclasses.dataclass(frozen=True, eq=False)
class TargetBatches:
    """Class-balanced batches of real images, one for each step, in any order.

    The batch of a step is a pure function of (dataset, transform, augmentation, batch_size, seed,
    step): no state is kept, so a run that resumes, or another machine, draws the same images. The
    transform is applied to one batch at a time; the dataset stays as it is.

    Attributes:
        dataset: the raw images.
        transform: brings them into the kernel's space.
        batch_size: the number of target images t of a step.
        seed: the seed of the run.
        augmentation: what happens to a part of each batch, before the transform.

    Raises:
        ValueError: if `batch_size` is not positive, a class has too few images for it, or `seed`
            is negative.
    """

    dataset: Dataset
    transform: Transform
    batch_size: int
    seed: int
    augmentation: Augmentation | None = None

    def __post_init__(self) -> None:
        rng_for(self.seed)
        counts = np.bincount(self.dataset.y_train, minlength=self.dataset.num_classes)
        try:
            check_class_balanced(counts, self.batch_size)
        except ValueError as error:
            raise ValueError(f"`batch_size`: {error}") from error

    @classmethod
    def over(cls: type[B], batches: "TargetBatches", **more: Any) -> B:
        """Return the same target batches as ones of this class, which may have `more` fields."""
        fields = {f.name: getattr(batches, f.name) for f in dataclasses.fields(TargetBatches)}
        return cls(**fields, **more)

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the target batch of a step.

        Args:
            step: zero or positive.

        Returns:
            The transformed images, float32 `[t, h, w, c]`, grouped by class, and their centred
            labels, float32 `[t, k]`.

        Raises:
            ValueError: if the step is negative.
        """
        return self.obtain(self._transformed, step)

    def pixel_batch(self, step: int) -> tuple[Images, np.ndarray]:
        """Return the target batch of a step as `batch` does, as pixels where that loses nothing."""
        return self.obtain(self._as_pixels, step)

    def obtain(self, make: Callable[[int], Made], step: int) -> Made:
        """Return what `make` makes of a step; for those to override who have it from elsewhere."""
        return make(step)

    def _transformed(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        images, labels = self._raw(step)
        return self.transform.apply(images), labels

    def _as_pixels(self, step: int) -> tuple[Images, np.ndarray]:
        images, labels = self._raw(step)
        return seen_through(self.transform, images), labels

    def _raw(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the images of a step as they were before the transform, and their labels."""
        if step < 0:
            raise ValueError(f"`step` must be zero or positive, got {step}")
        y_train = self.dataset.y_train
        rng = rng_for(self.seed, "targets", step)
        indices = class_balanced_indices(y_train, self.batch_size, rng)
        images = self.dataset.x_train[indices]
        if self.augmentation is not None:
            images = augment(images, self.augmentation, rng_for(self.seed, "augment", step))
        return images, centred_one_hot(y_train[indices], self.dataset.num_classes)

    def chunks(
        self, split: Literal["train", "test"], size: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Return a whole split in chunks, as `split_chunks` does."""
        return split_chunks(self.dataset, self.transform, split, size)


def split_chunks(
    dataset: Dataset, transform: Transform, split: Literal["train", "test"], size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Return a whole split in order, at most `size` images at a time, never augmented.

    Each chunk is transformed when it is asked for.

    Args:
        dataset: the raw images.
        transform: brings them into the kernel's space.
        split: `train` or `test`.
        size: the largest number of images m of a chunk.

    Returns:
        An iterator of transformed images, float32 `[m, h, w, c]`, and their centred labels,
        float32 `[m, k]`.

    Raises:
        ValueError: if the split is unknown or `size` is not positive.
    """
    if split not in ("train", "test"):
        raise ValueError(f"`split` must be 'train' or 'test', got {split!r}")
    if size < 1:
        raise ValueError(f"`size` of a chunk must be positive, got {size}")
    images, labels = (
        (dataset.x_train, dataset.y_train) if split == "train" else (dataset.x_test, dataset.y_test)
    )
    return (
        (transform.apply(images[part]), centred_one_hot(labels[part], dataset.num_classes))
        for part in slices(len(images), size)
    )
