"""Scoring and using a distilled set from Python."""

import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

from stillhouse.data.arguments import check_arguments, of_hint
from stillhouse.data.arrays import ArrayLike, as_images
from stillhouse.data.batches import split_chunks
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.recipes import Recipe, StepsRecipe, TrainingRecipe
from stillhouse.kernels.spec import KernelSpec
from stillhouse.launch.following import NetworkScores, follow
from stillhouse.launch.labelled import (
    CHUNK,
    in_chunks,
    is_test,
    naming_arguments,
    read_data,
    read_test,
)
from stillhouse.launch.many_sets import check_fits
from stillhouse.launch.sets import (
    kernel_for,
    recipe_of,
    regularisation_for,
    transform_for,
)
from stillhouse.launch.settings.sets import RecipeConfig, SetConfig
from stillhouse.methods.coresets import class_average, kmeans_centres, random_subset
from stillhouse.methods.kernel_regression.evaluation import Scores, evaluate_krr
from stillhouse.methods.kernel_regression.ridge import krr_predict
from stillhouse.workers.local import LocalComputer

# As in `methods/architectures.py`; a test holds the two together.
Architectures = Literal["fc", "conv", "convnet", "convnet3", "myrtle"]
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
        dataset: what `load_dataset` or `dataset_from` take; or test images alone: a pair of images
            and labels, or one split of Hugging Face's or PyTorch's; None for the data that it was
            distilled from. Labels are classes 0 to k - 1, or what the card calls these.
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
        with naming_arguments():
            by = RecipeConfig(networks, seed, pool=paths[0], weights=paths[1])
        return _follow(recipe, distilled, dataset, asked, names, by)
    spec = _kernel(distilled, asked)
    computer = LocalComputer(backend, threads)
    chunks: Iterable[tuple[np.ndarray, np.ndarray]]
    if is_test(dataset):
        chunks = in_chunks(distilled, *read_test(distilled, dataset, asked, names))
    else:
        chunks = split_chunks(*read_data(distilled, dataset, asked), "test", CHUNK)
    ridge = regularisation_for(asked, distilled)
    return evaluate_krr(computer, spec, distilled.images, distilled.labels, chunks, ridge)


@check_arguments
def predict(
    distilled: DistilledSet,
    images: ArrayLike,
    *,
    architecture: Architectures | None = None,
    depth: int | None = None,
    kernel: Literal["ntk", "nngp"] | None = None,
    regularisation: float | None = None,
    backend: str = "auto",
    threads: int | None = None,
) -> np.ndarray:
    """Return what kernel ridge regression on the set says of raw images, float64 `[n, k]`.

    The class of an image is that of its largest value: `ds.predict(images).argmax(axis=1)`.

    Args:
        distilled: the set, with its transform.
        images: raw images `[n, h, w, c]`, or grey `[n, h, w]`, in the scale of the dataset.
        architecture: the infinitely wide network; None for the set's own.
        depth: its depth, with `architecture`.
        kernel: which limit of it; None for the set's own.
        regularisation: the ridge; None for the set's own.
        backend: what computes kernels.
        threads: processor threads; None for all.

    Raises:
        ValueError: if the set lacks a transform, or is not meant for a kernel and none is named, or
            the images do not fit it.
    """
    if distilled.transform is None:
        raise ValueError(
            "this set carries no transform, so it predicts nothing; fit one (`fit_transform`), and "
            "make a `DistilledSet` with it"
        )
    asked = _asked(architecture, depth, kernel, None, regularisation)
    spec = _kernel(distilled, asked)
    computer = LocalComputer(backend, threads)
    x = distilled.transform.apply(as_images(images, "`images`"))
    gram = computer.gram(spec, distilled.images)
    ridge = regularisation_for(asked, distilled)
    parts = [
        krr_predict(gram, computer.cross(spec, part, distilled.images), distilled.labels, ridge)
        for part in (x[start : start + CHUNK] for start in range(0, len(x), CHUNK))
    ]
    return np.concatenate(parts)


@check_arguments
def compare(
    distilled: DistilledSet,
    dataset: Any = None,
    *,
    others: Mapping[str, DistilledSet] | None = None,
    architecture: Architectures | None = None,
    depth: int | None = None,
    kernel: Literal["ntk", "nngp"] | None = None,
    transform: str | None = None,
    regularisation: float | None = None,
    seed: int = 0,
    backend: str = "auto",
    threads: int | None = None,
) -> dict[str, Scores]:
    """Score a set beside sets of its size for which nothing was learned, and beside others.

    All are judged alike: by kernel ridge regression with the kernel of this set, or the one that is
    named. For other judges, such as networks that are trained, see `stillhouse compare`.

    Args:
        distilled: the set, with its card.
        dataset: as for `evaluate`, but with training images.
        others: more distilled sets of these data, by names; each is seen through its own transform.
        architecture: the infinitely wide network; None for the set's own.
        depth: its depth, with `architecture`.
        kernel: which limit of it; None for the set's own.
        transform: of sets that carry none, fitted on the training images.
        regularisation: the ridge; None for the set's own.
        seed: of what is drawn.
        backend: what computes kernels.
        threads: processor threads; None for all.

    Returns:
        The scores of `distilled`, of `random` real images, `kmeans` centres of them and averages of
        each class (`average`), and of the others.

    Raises:
        ValueError: as `evaluate`, and if the size of the set is no multiple of the classes, or one
            of the others does not fit.
    """
    fit = _asked(None, None, None, transform, None)
    own = None if distilled.transform is not None else transform
    asked = _asked(architecture, depth, kernel, own, regularisation)
    data, fitted = read_data(distilled, dataset, asked)
    spec, computer = _kernel(distilled, asked), LocalComputer(backend, threads)
    ridge = regularisation_for(asked, distilled)
    size, k = len(distilled.images), data.num_classes
    supports = {"distilled": (distilled.images, distilled.labels, fitted)}
    for name, choose in _BASELINES.items():
        x, y = choose(data.x_train, data.y_train, size, num_classes=k, seed=seed)
        supports[name] = (fitted.apply(x), centred_one_hot(y, k), fitted)
    for name, other in ({} if others is None else others).items():
        called = f"`others[{name!r}]`"
        if name in supports:
            raise ValueError(f"{called} has a name that is taken: {', '.join(supports)}")
        of_hint(called, other, DistilledSet)
        check_fits(called, other, data)
        with naming_arguments():
            how = SetConfig() if other.transform is not None else fit
            supports[name] = other.images, other.labels, transform_for(how, called, other, data)
    return {
        name: evaluate_krr(computer, spec, x, y, split_chunks(data, seen, "test", CHUNK), ridge)
        for name, (x, y, seen) in supports.items()
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
    if is_test(dataset):
        *test, transform = read_test(distilled, dataset, asked, names)
    else:
        data, transform = read_data(distilled, dataset, asked)
        test = [data.x_test, data.y_test]
    with naming_arguments():
        return follow(recipe, distilled, (test[0], test[1]), transform, by)


def _asked(
    architecture: str | None,
    depth: int | None,
    kernel: str | None,
    transform: str | None,
    regularisation: float | None,
) -> SetConfig:
    with naming_arguments():
        return SetConfig(
            transform=transform,
            architecture=architecture,
            depth=depth,
            kernel=kernel,
            regularisation=regularisation,
        )


def _kernel(distilled: DistilledSet, asked: SetConfig) -> KernelSpec:
    with naming_arguments():
        return kernel_for(asked, "this set", distilled)
