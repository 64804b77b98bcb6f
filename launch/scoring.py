"""Scoring and using a distilled set from Python."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np

from stillhouse.data.arguments import check_arguments, shown
from stillhouse.data.arrays import ArrayLike, as_images, as_labels, check_classes
from stillhouse.data.batches import split_chunks
from stillhouse.data.dataset import Dataset
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.recipes import Recipe, StepsRecipe, TrainingRecipe
from stillhouse.data.sources import dataset_from
from stillhouse.data.sources.objects import is_dataset
from stillhouse.data.transforms import Transform
from stillhouse.kernels.spec import KernelSpec
from stillhouse.launch.following import NetworkScores, follow
from stillhouse.launch.sets import (
    dataset_for,
    kernel_for,
    recipe_of,
    regularisation_for,
    transform_for,
)
from stillhouse.launch.settings.reading import ReadingConfig
from stillhouse.launch.settings.sets import RecipeConfig, SetConfig
from stillhouse.methods.coresets import class_average, kmeans_centres, random_subset
from stillhouse.methods.kernel_regression.evaluation import Scores, evaluate_krr
from stillhouse.methods.kernel_regression.ridge import krr_predict
from stillhouse.workers.local import LocalComputer

# As in `methods/architectures.py`; a test holds the two together.
Architectures = Literal["fc", "conv", "convnet", "convnet3", "myrtle"]
_CHUNK = 500
_FLAG = re.compile(r"--(\w+)")
_BASELINES = {"random": random_subset, "kmeans": kmeans_centres, "average": class_average}


@check_arguments
def evaluate(
    distilled: DistilledSet,
    dataset: Any = None,
    labels: Any = None,
    *,
    architecture: Architectures | None = None,
    depth: int | None = None,
    kernel: Literal["ntk", "nngp"] | None = None,
    transform: str | None = None,
    regularisation: float | None = None,
    backend: str = "auto",
    threads: int | None = None,
    networks: int = 5,
    seed: int = 0,
    pool: str | os.PathLike[str] | None = None,
    weights: str | os.PathLike[str] | None = None,
) -> Scores | NetworkScores:
    """Score a distilled set on test images, as `stillhouse evaluate` does.

    A set whose recipe is for finite networks is scored by networks that follow it, unless an
    architecture or a kernel is named.

    Args:
        distilled: the set.
        dataset: what `load_dataset` or `dataset_from` take, or a pair of test images and labels;
            None for the data that it was distilled from.
        labels: those of test images that stand in place of `dataset`.
        architecture: the infinitely wide network; None for the set's own.
        depth: its depth, with `architecture`.
        kernel: which limit of it; None for the set's own.
        transform: fitted on the training images of `dataset`; None for the set's own.
        regularisation: the ridge; None for the set's own.
        backend: what computes kernels.
        threads: processor threads; None for all.
        networks: how many follow the recipe, where it is for networks.
        seed: of the first one's weights; those of the others follow it.
        pool: the pool whose networks the recipe starts from; None for where the run had it.
        weights: the file of weights that it starts from; None for where the run had it.

    Returns:
        The accuracy, and half the mean squared error; of networks the scores of each.

    Raises:
        ValueError: if set, data and settings do not fit together, or something is missing.
        FloatingPointError: if the predictions are not finite.
    """
    names = ("`dataset[0]`", "`dataset[1]`")
    if labels is not None:
        dataset, names = (dataset, labels), ("`dataset`", "`labels`")
    asked = _asked(architecture, depth, kernel, transform, regularisation)
    recipe = recipe_of(distilled)
    by_networks = isinstance(recipe, StepsRecipe | TrainingRecipe)
    if recipe is not None and by_networks and architecture is None and kernel is None:
        paths = [None if path is None else os.fspath(path) for path in (pool, weights)]
        with _naming_arguments():
            by = RecipeConfig(networks, seed, pool=paths[0], weights=paths[1])
        return _follow(recipe, distilled, dataset, asked, names, by)
    spec = _kernel(distilled, asked)
    computer = LocalComputer(backend, threads)
    if isinstance(dataset, tuple | list) and len(dataset) == 2 and transform is None:
        chunks = _pair_chunks(distilled, dataset[0], dataset[1], names)
    else:
        chunks = split_chunks(*_data(distilled, dataset, asked, names), "test", _CHUNK)
    ridge = regularisation_for(asked, distilled)
    return evaluate_krr(computer, spec, distilled.images, distilled.labels, chunks, ridge)


@check_arguments
def predict(
    distilled: DistilledSet, images: ArrayLike, *, backend: str = "auto", threads: int | None = None
) -> np.ndarray:
    """Return what kernel ridge regression on the set says of raw images, float64 `[n, k]`.

    The class of an image is that of its largest value: `ds.predict(images).argmax(axis=1)`.

    Args:
        distilled: the set, with its transform and card.
        images: raw images `[n, h, w, c]`, or grey `[n, h, w]`, in the scale of the dataset.
        backend: what computes kernels.
        threads: processor threads; None for all.

    Raises:
        ValueError: if the set lacks transform or card, or the images do not fit it.
    """
    if distilled.transform is None or distilled.card is None:
        raise ValueError("this set carries no transform and network, so it predicts nothing")
    asked = SetConfig()
    spec = _kernel(distilled, asked)
    computer = LocalComputer(backend, threads)
    x = distilled.transform.apply(as_images(images, "`images`"))
    gram = computer.gram(spec, distilled.images)
    ridge = regularisation_for(asked, distilled)
    parts = [
        krr_predict(gram, computer.cross(spec, part, distilled.images), distilled.labels, ridge)
        for part in (x[start : start + _CHUNK] for start in range(0, len(x), _CHUNK))
    ]
    return np.concatenate(parts)


@check_arguments
def compare(
    distilled: DistilledSet,
    dataset: Any = None,
    *,
    seed: int = 0,
    backend: str = "auto",
    threads: int | None = None,
) -> dict[str, Scores]:
    """Score a set beside sets of its size for which nothing was learned.

    Args:
        distilled: the set, with its card.
        dataset: as for `evaluate`, but with training images.
        seed: of what is drawn.
        backend: what computes kernels.
        threads: processor threads; None for all.

    Returns:
        The scores of `distilled`, and of `random` real images, `kmeans` centres of them and
        averages of each class (`average`).

    Raises:
        ValueError: as `evaluate`, and if the size of the set is no multiple of the classes.
    """
    asked = SetConfig()
    data, fitted = _data(distilled, dataset, asked)
    spec, computer = _kernel(distilled, asked), LocalComputer(backend, threads)
    ridge = regularisation_for(asked, distilled)
    size, k = len(distilled.images), data.num_classes
    supports = {"distilled": (distilled.images, distilled.labels)}
    for name, choose in _BASELINES.items():
        x, y = choose(data.x_train, data.y_train, size, num_classes=k, seed=seed)
        supports[name] = (fitted.apply(x), centred_one_hot(y, k))
    return {
        name: evaluate_krr(computer, spec, x, y, split_chunks(data, fitted, "test", _CHUNK), ridge)
        for name, (x, y) in supports.items()
    }


def _follow(
    recipe: Recipe,
    distilled: DistilledSet,
    dataset: Any,
    asked: SetConfig,
    names: tuple[str, str],
    by: RecipeConfig,
) -> NetworkScores:
    """Return the scores of networks that follow a recipe."""
    if isinstance(dataset, tuple | list) and len(dataset) == 2 and asked.transform is None:
        if distilled.transform is None:
            raise ValueError("this set carries no transform; give a dataset, and `transform`")
        x, y = as_images(dataset[0], names[0]), as_labels(dataset[1], names[1])
        if len(x) != len(y):
            raise ValueError(f"{len(x)} images, but {len(y)} labels")
        test, transform = (x, y), distilled.transform
    else:
        data, transform = _data(distilled, dataset, asked, names)
        test = data.x_test, data.y_test
    with _naming_arguments():
        return follow(recipe, distilled, test, transform, by)


def _asked(
    architecture: str | None,
    depth: int | None,
    kernel: str | None,
    transform: str | None,
    regularisation: float | None,
) -> SetConfig:
    with _naming_arguments():
        return SetConfig(
            transform=transform,
            architecture=architecture,
            depth=depth,
            kernel=kernel,
            regularisation=regularisation,
        )


@contextlib.contextmanager
def _naming_arguments() -> Iterator[None]:
    """Say `transform` where an error says `--transform`: here are no flags."""
    try:
        yield
    except ValueError as error:
        raise ValueError(_FLAG.sub(r"\1", str(error))) from error


def _kernel(distilled: DistilledSet, asked: SetConfig) -> KernelSpec:
    with _naming_arguments():
        return kernel_for(asked, "this set", distilled)


def _data(
    distilled: DistilledSet,
    dataset: Any,
    asked: SetConfig,
    names: tuple[str, str] = ("`dataset[0]`", "`dataset[1]`"),
) -> tuple[Dataset, Transform]:
    """Return the data, and the transform that brings them to the set."""
    if dataset is None or isinstance(dataset, str | os.PathLike):
        source = None if dataset is None else os.fspath(dataset)
        named = SetConfig(dataset=source)
        with _naming_arguments():
            data = dataset_for(named, "this set", distilled, ReadingConfig())
    elif is_dataset(dataset) or isinstance(dataset, tuple | list) and len(dataset) == 2:
        data = dataset_from(dataset, argument_names=(*names, "", ""))
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
    with _naming_arguments():
        return data, transform_for(asked, "this set", distilled, data)


def _pair_chunks(
    distilled: DistilledSet, images: ArrayLike, labels: ArrayLike, names: tuple[str, str]
) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Return test images and labels alone, in the space of the set."""
    if distilled.transform is None:
        raise ValueError("this set carries no transform; give a dataset, and `transform`")
    pixels, classes = as_images(images, names[0]), as_labels(labels, names[1])
    if len(pixels) != len(classes):
        raise ValueError(f"{names[0]} has {len(pixels)} images, {names[1]} {len(classes)} labels")
    check_classes(classes, distilled.num_classes, names[1])
    x, y = distilled.transform.apply(pixels), centred_one_hot(classes, distilled.num_classes)
    return ((x[i : i + _CHUNK], y[i : i + _CHUNK]) for i in range(0, len(x), _CHUNK))
