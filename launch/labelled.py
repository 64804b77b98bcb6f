"""Data as people give them in Python, to score a distilled set on."""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from stillhouse.data.arguments import shown
from stillhouse.data.arrays import as_images
from stillhouse.data.dataset import Dataset
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.own_classes import in_own_order, own_classes
from stillhouse.data.sources import dataset_from
from stillhouse.data.sources.objects import is_dataset, is_one_split, read_split
from stillhouse.data.transforms import Transform
from stillhouse.launch.sets import dataset_for, transform_for
from stillhouse.launch.settings.reading import ReadingConfig
from stillhouse.launch.settings.sets import SetConfig

CHUNK = 500  # images scored at a time
_FLAG = re.compile(r"--(\w+)")


@contextlib.contextmanager
def naming_arguments() -> Iterator[None]:
    """Say `transform` where an error says `--transform`: here are no flags."""
    try:
        yield
    except ValueError as error:
        raise ValueError(_FLAG.sub(r"\1", str(error))) from error


def is_test(data: Any) -> bool:
    """Return whether it is test images and their labels alone, and no dataset of two splits."""
    return isinstance(data, tuple | list) and len(data) == 2 or is_one_split(data)


def read_data(distilled: DistilledSet, dataset: Any, asked: SetConfig) -> tuple[Dataset, Transform]:
    """Return a dataset, and the transform that brings its images to the set.

    Args:
        distilled: the set.
        dataset: what `load_dataset` or `dataset_from` take; None for that of the set.
        asked: the settings.

    Raises:
        ValueError: if it is none, or does not fit the set.
        OSError: if it cannot be read.
    """
    if dataset is None or isinstance(dataset, str | os.PathLike):
        source = None if dataset is None else os.fspath(dataset)
        named = SetConfig(dataset=source)
        with naming_arguments():
            data = dataset_for(named, "this set", distilled, ReadingConfig())
    elif is_dataset(dataset) or is_test(dataset):
        names = None if is_dataset(dataset) else ("`dataset[0]`", "`dataset[1]`", "", "")
        data = in_own_order(distilled, dataset_from(dataset, argument_names=names))
    else:
        raise ValueError(
            "`dataset` must be a name or path, a dataset, or a pair of images and labels, got "
            f"{shown(dataset)}"
        )
    if data.image_shape != distilled.images.shape[1:] or data.num_classes != distilled.num_classes:
        raise ValueError(
            f"`dataset` has images of {data.image_shape} in {data.num_classes} classes, the set of "
            f"{distilled.images.shape[1:]} in {distilled.num_classes}"
        )
    with naming_arguments():
        return data, transform_for(asked, "this set", distilled, data)


def read_test(
    distilled: DistilledSet, data: Any, asked: SetConfig, names: tuple[str, str]
) -> tuple[np.ndarray, np.ndarray, Transform]:
    """Return test images, their classes, and the transform that brings them to the set.

    Args:
        distilled: the set, with its transform.
        data: a pair of images and labels, or one split of Hugging Face's or PyTorch's.
        asked: the settings.
        names: what errors call the two of a pair.

    Returns:
        Raw images `[n, h, w, c]`, classes int64 `[n]`, and the set's transform.

    Raises:
        ValueError: if the set carries no transform, another one is asked for, or they do not fit
            each other or the set.
    """
    if asked.transform is not None:
        raise ValueError(
            "`transform` is fitted on training images, and these are test images alone; give a "
            "dataset with both, such as `dataset_from(train, test)` returns"
        )
    if distilled.transform is None:
        raise ValueError("this set carries no transform; give a dataset, and `transform`")
    class_names: Sequence[str] | None = None
    if is_one_split(data):
        images, labels, *found, class_names = read_split(data, "dataset")
        names = (found[0], found[1])
    else:
        images, labels = data
    x = as_images(images, names[0])
    y = own_classes(distilled, labels, names[1], class_names)
    if len(x) != len(y):
        raise ValueError(f"{names[0]} has {len(x)} images, {names[1]} {len(y)} labels")
    return x, y, distilled.transform


def in_chunks(
    distilled: DistilledSet, images: np.ndarray, classes: np.ndarray, transform: Transform
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Return what `read_test` did, transformed and with centred labels, some images at a time."""
    x, y = transform.apply(images), centred_one_hot(classes, distilled.num_classes)
    return ((x[i : i + CHUNK], y[i : i + CHUNK]) for i in range(0, len(x), CHUNK))
