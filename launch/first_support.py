"""The images and labels from which a run starts."""

import hashlib
from pathlib import Path

import numpy as np

from stillhouse.data.arrays import size_name
from stillhouse.data.dataset import Dataset
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.paths import nearest_path
from stillhouse.data.transforms import Transform
from stillhouse.launch.sets import load_set
from stillhouse.launch.settings.run import INITIALISERS
from stillhouse.methods.algorithm import Support
from stillhouse.methods.coresets import kmeans_centres, noise_images, random_subset

# How many images are looked at to tell one transform from another, and how far they may be apart:
# the same whitening, fitted on another machine, differs in its last digits.
_LOOKED_AT = 50
_NEAR = 1e-3


def first_support(
    init: str, size: int, dataset: Dataset, transform: Transform, seed: int
) -> Support:
    """Return the images and labels from which a run starts, in the kernel's space.

    Args:
        init: `real`, `noise` or `kmeans`.
        size: the number of images, a multiple of the classes.
        dataset: what is distilled.
        transform: fitted to it.
        seed: of the run.

    Returns:
        Images float32 `[s, h, w, c]` and centred labels float32 `[s, k]`.

    Raises:
        ValueError: if `size` is no multiple of the classes, or a class has too few images.
    """
    classes = dataset.num_classes
    if init == "noise":
        images, labels = noise_images(dataset.image_shape, size, num_classes=classes, seed=seed)
    else:
        choose = kmeans_centres if init == "kmeans" else random_subset
        x, y = dataset.x_train, dataset.y_train
        raw, labels = choose(x, y, size, num_classes=classes, seed=seed)
        images = transform.apply(raw)
    return images, centred_one_hot(labels, classes)


def load_starting_set(file: str, dataset: Dataset, max_bytes: int | None = None) -> DistilledSet:
    """Read a set from which a run is to start.

    Args:
        file: the set's, or the folder of its run.
        dataset: what the run distils.
        max_bytes: what its arrays may take.

    Raises:
        ValueError: if there is none, its images are of another shape or its labels of other
            classes than the dataset's, or it does not say through which transform it is seen.
        OSError: if it cannot be read.
    """
    path = Path(file).expanduser()
    if not path.exists():
        raise ValueError(
            f"`--init` must be {', '.join(INITIALISERS)}, or a distilled set; there is none at "
            f"{file}{nearest_path(path, INITIALISERS)}"
        )
    found = load_set(file, max_bytes)
    if found.images.shape[1:] != dataset.image_shape:
        raise ValueError(
            f"`--init`: the images of {file} are {size_name(found.images.shape[1:])}, those of the "
            f"dataset {size_name(dataset.image_shape)}; give a set of these"
        )
    if found.num_classes != dataset.num_classes:
        raise ValueError(
            f"`--init`: the labels of {file} have {found.num_classes} classes, the dataset has "
            f"{dataset.num_classes}; give a set of these"
        )
    if found.transform is None:
        raise ValueError(
            f"`--init`: {file} does not say through which transform its images are seen, so "
            "nobody can tell whether they are of this run's space; give a set made by stillhouse"
        )
    return found


def check_same_space(
    file: str, found: DistilledSet, transform: Transform, dataset: Dataset
) -> None:
    """Check that a set's images are seen through the transform of the run.

    Raises:
        ValueError: if the transforms make other images of the dataset's.
    """
    assert found.transform is not None, "`load_starting_set` looked"
    images = dataset.x_train[:_LOOKED_AT]
    theirs, ours = found.transform.apply(images), transform.apply(images)
    apart = float(np.abs(theirs - ours).max() / max(np.abs(ours).max(), 1e-12))
    if not apart <= _NEAR:
        raise ValueError(
            f"`--init`: {file} sees images through another transform ({found.transform.kind}) than "
            f"this run ({transform.kind}); give the --transform and the data that it was made with"
        )


def fingerprint(found: DistilledSet) -> str:
    """Return what tells a set from others: the start of the SHA-256 of its arrays."""
    digest = hashlib.sha256(found.images.tobytes())
    digest.update(found.labels.tobytes())
    return digest.hexdigest()[:16]
