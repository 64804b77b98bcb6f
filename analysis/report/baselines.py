"""Sets of the same size that nothing was learned for: what a distilled set must beat."""

import dataclasses

import numpy as np

from stillhouse.analysis.baselines import baseline_set
from stillhouse.data.dataset import Dataset
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.sampling import rng_for
from stillhouse.data.transforms import Transform
from stillhouse.methods.coresets import check_support_size

# Of each class, the most that k-means looks at: the time it takes is bounded, its centres are not
# much worse.
_KMEANS_IMAGES = 500


@dataclasses.dataclass(frozen=True, eq=False)
class SupportSet:
    """Images with labels, by the name under which they are compared.

    Attributes:
        name: of the column; several sets of one name are draws, whose mean counts.
        images: in the kernel's space, float32 `[s, h, w, c]`.
        labels: centred, float32 `[s, k]`.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray


def baseline_sets(
    dataset: Dataset, transform: Transform, size: int, *, draws: int = 3, seed: int = 0
) -> tuple[SupportSet, ...]:
    """Return random, k-means and class-average sets of a size, `draws` random ones.

    With one image for each class k-means would give the class averages again, and is left out.

    All are made of raw training images, k-means of 500 or fewer images of each class (more where a
    class gives more than 50 centres), then transformed.

    Args:
        dataset: whose training images they are made of.
        transform: brings them into the kernel's space.
        size: the number of images s of each set.
        draws: how many random sets.
        seed: of every choice.

    Raises:
        ValueError: if `size` is no multiple of the classes, or a class has too few images.
    """
    y, k = dataset.y_train, dataset.num_classes
    check_support_size(size, k, y)
    some = _of_each_class(y, max(_KMEANS_IMAGES, 10 * size // k), seed)
    fewer = dataclasses.replace(dataset, x_train=dataset.x_train[some], y_train=y[some])

    def made(name: str, kind: str, seed: int, dataset: Dataset = dataset) -> SupportSet:
        images, labels = baseline_set(kind, dataset, transform, size, seed=seed)
        return SupportSet(name, images, centred_one_hot(labels, k))

    # One centre of a class is its average: no second set of the same images.
    centres = [] if size == k else [made("k-means", "kmeans", seed, fewer)]
    return (
        *(made("random images", "random", seed + i) for i in range(draws)),
        *centres,
        made("class averages", "average", seed),
    )


def _of_each_class(labels: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Return the indices of at most so many images of each class, in order."""
    rng = rng_for(seed, "report k-means images")
    classes = [np.flatnonzero(labels == label) for label in range(int(labels.max()) + 1)]
    return np.sort(np.concatenate([rng.permutation(members)[:most] for members in classes]))
