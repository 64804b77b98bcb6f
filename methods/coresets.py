"""Support sets without learning: where distillation starts, and what it must beat.

Every function gives `size` images, as many of each class as of any other, all of class 0 first,
with their integer labels. All are pure functions of their arguments, the seed among them.
"""

import numpy as np
from threadpoolctl import threadpool_limits

from stillhouse.data.sampling import rng_for

Coreset = tuple[np.ndarray, np.ndarray]


def random_subset(
    images: np.ndarray, labels: np.ndarray, size: int, *, num_classes: int, seed: int
) -> Coreset:
    """Return a random subset of the images, without repetition.

    Args:
        images: `[n, h, w, c]`.
        labels: integer classes, `[n]`.
        size: the number of images to return, s; a multiple of `num_classes`.
        num_classes: the number of classes.
        seed: of the choice.

    Returns:
        Images float32 `[s, h, w, c]` and labels int64 `[s]`.

    Raises:
        ValueError: if `size` is not a positive multiple of the classes, or a class has too few.
    """
    members = _members(images, labels, size, num_classes)
    rng = rng_for(seed, "random subset")
    ipc = size // num_classes
    chosen = np.concatenate([rng.choice(of_class, ipc, replace=False) for of_class in members])
    return images[chosen].astype(np.float32), _labels(size, num_classes)


def kmeans_centres(
    images: np.ndarray, labels: np.ndarray, size: int, *, num_classes: int, seed: int
) -> Coreset:
    """Return the centres of k-means in each class; with one image per class, its mean.

    Arguments, results and errors are those of `random_subset`.

    References:
        Wang, Zhu, Torralba, Efros. Dataset Distillation. 2018,
        https://arxiv.org/abs/1811.10959 (the k-means baseline)
    """
    # It takes as long to import as all the rest of a run; most runs begin with none.
    from sklearn.cluster import KMeans

    members = _members(images, labels, size, num_classes)
    ipc = size // num_classes
    centres = []
    for label, of_class in enumerate(members):
        points = images[of_class].reshape(len(of_class), -1).astype(np.float64)
        random_state = int(rng_for(seed, "k-means", label).integers(2**31))
        # Threads would add a cluster's points up in whatever order they come to it.
        with threadpool_limits(limits=1):
            fit = KMeans(ipc, n_init=2, random_state=random_state).fit(points)
        centres.append(fit.cluster_centers_)
    found = np.concatenate(centres).reshape(size, *images.shape[1:])
    return found.astype(np.float32), _labels(size, num_classes)


def class_average(
    images: np.ndarray, labels: np.ndarray, size: int, *, num_classes: int, seed: int
) -> Coreset:
    """Return averages of disjoint random parts of each class; with one, the class mean.

    Arguments, results and errors are those of `random_subset`.

    References:
        Wang, Zhu, Torralba, Efros. Dataset Distillation. 2018,
        https://arxiv.org/abs/1811.10959 (the average real images baseline, one per class)
    """
    members = _members(images, labels, size, num_classes)
    rng = rng_for(seed, "class average")
    parts = [
        part
        for of_class in members
        for part in np.array_split(rng.permutation(of_class), size // num_classes)
    ]
    averages = np.stack([images[np.sort(part)].mean(axis=0, dtype=np.float64) for part in parts])
    return averages.astype(np.float32), _labels(size, num_classes)


def noise_images(
    image_shape: tuple[int, int, int], size: int, *, num_classes: int, seed: int
) -> Coreset:
    """Return independent standard normal pixels, as of images that have been standardised.

    Args:
        image_shape: height, width and channels.
        size: the number of images to return, s; a multiple of `num_classes`.
        num_classes: the number of classes.
        seed: of the noise.

    Returns:
        Images float32 `[s, h, w, c]` and labels int64 `[s]`.

    Raises:
        ValueError: if `size` is not a positive multiple of the classes.
    """
    check_support_size(size, num_classes)
    noise = rng_for(seed, "noise images").standard_normal((size, *image_shape), np.float32)
    return noise, _labels(size, num_classes)


def check_support_size(size: int, num_classes: int, labels: np.ndarray | None = None) -> None:
    """Check that a support set can have `size` images, and be drawn from `labels` if given.

    Raises:
        ValueError: if `size` is not a positive multiple of the classes, or a class has too few.
    """
    if size < 1 or size % num_classes:
        below = size - size % num_classes
        near = f"{below} or {below + num_classes}" if below > 0 else f"{num_classes}"
        raise ValueError(
            f"the support size {size} is not a positive multiple of the {num_classes} classes; "
            f"try {near}"
        )
    if labels is None:
        return
    counts = np.bincount(labels, minlength=num_classes)
    fewest = int(np.argmin(counts))
    if counts[fewest] < size // num_classes:
        raise ValueError(
            f"a support set of {size} needs {size // num_classes} images of each class, but "
            f"class {fewest} has only {counts[fewest]}"
        )


def _members(
    images: np.ndarray, labels: np.ndarray, size: int, num_classes: int
) -> list[np.ndarray]:
    """Return the indices of each class's images."""
    if np.ndim(images) != 4 or np.shape(labels) != (len(images),):
        raise ValueError(
            "`images` must be [n, h, w, c] and `labels` [n], got shapes "
            f"{np.shape(images)} and {np.shape(labels)}"
        )
    check_support_size(size, num_classes, labels)
    return [np.flatnonzero(labels == label) for label in range(num_classes)]


def _labels(size: int, num_classes: int) -> np.ndarray:
    return np.repeat(np.arange(num_classes), size // num_classes)
