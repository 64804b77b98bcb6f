"""A distilled set used as its recipe says, where that is through finite networks."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stillhouse.data.augmentation import Augmentation, augment
from stillhouse.data.labels import class_targets
from stillhouse.data.recipes import Recipe, StepsRecipe, TrainingRecipe
from stillhouse.data.records import from_plain
from stillhouse.data.sampling import rng_for
from stillhouse.data.siamese import SiameseAugmentation
from stillhouse.methods.following_steps import follow_steps, taken
from stillhouse.methods.scores import ACCURACY
from stillhouse.networks import NetworkSpec
from stillhouse.networks.descent import accuracy, programs_for
from stillhouse.networks.objective import Objective
from stillhouse.networks.pool import Pool
from stillhouse.networks.siamese import augmented_batches

Batch = tuple[np.ndarray, np.ndarray]
_MOMENTUM = 0.9


def recipe_scores(
    recipe: Recipe,
    images: np.ndarray,
    labels: np.ndarray,
    test_images: np.ndarray,
    test_classes: np.ndarray,
    *,
    prepare: Callable[[np.ndarray], np.ndarray],
    networks: int = 5,
    seed: int = 0,
    pool: Pool | None = None,
    weights: Path | None = None,
    told: Callable[[], object] = lambda: None,
) -> list[dict[str, float]]:
    """Return the scores of each network that is trained on a set by its recipe.

    "test_accuracy" is among them; what else there is says `follow_steps`.

    Args:
        recipe: of the kind `steps` or `training`.
        images: those of the set, float32 `[s, h, w, c]`, in its transformed space.
        labels: their labels, `[s, k]`; with the loss "xent" a label stands for its largest class.
        test_images: raw `[n, h, w, c]`.
        test_classes: integers `[n]`.
        prepare: brings raw images into the set's space, a batch at a time.
        networks: how many to train, where they start from random weights; one, where the recipe
            says what from.
        seed: of the first one; those of the others follow it.
        pool: the one that a recipe of steps names.
        weights: the file of weights that it names.
        told: called after each network.

    Raises:
        ValueError: if the recipe is of another kind, does not fit the set, or needs networks that
            are not here.
        FloatingPointError: if a network's loss is not finite.
    """
    if isinstance(recipe, StepsRecipe):
        return follow_steps(
            *(recipe, images, labels, test_images, test_classes),
            prepare=prepare,
            networks=networks,
            seed=seed,
            pool=pool,
            weights=weights,
            told=told,
        )
    if not isinstance(recipe, TrainingRecipe):
        raise ValueError(f"a recipe of kind {recipe.kind} is not for finite networks")
    spec = NetworkSpec.from_dict(dict(recipe.network))
    if recipe.loss == "xent":
        labels = class_targets(labels)
    programs = programs_for(spec, _objective(recipe), images.shape[1:], labels.shape[1])
    found = []
    for one in range(seed, seed + networks):
        rates, batches = _lesson(recipe, images, labels, one)
        params, state = taken(programs, *programs.network.init(one), rates, batches)
        right = accuracy(programs, params, state, test_images, test_classes, prepare=prepare)
        found.append({ACCURACY: right})
        told()
    return found


def recipe_accuracies(recipe: Recipe, *arrays: np.ndarray, **settings: Any) -> list[float]:
    """Return the test accuracy of each network alone; the arguments are as for `recipe_scores`."""
    return [scores[ACCURACY] for scores in recipe_scores(recipe, *arrays, **settings)]


def shortened(recipe: Recipe, *, steps: int | None = None, width: int | None = None) -> Recipe:
    """Return a recipe of ordinary training with fewer steps, or a network of another width.

    Raises:
        ValueError: if the recipe is of another kind, or its network has no width.
    """
    if steps is None and width is None:
        return recipe
    if not isinstance(recipe, TrainingRecipe):
        name = "width" if steps is None else "steps"
        raise ValueError(
            f"`--{name}` is for sets that are meant for ordinary training, and this one's recipe "
            f"is {recipe.kind}; drop it"
        )
    network = recipe.network
    if width is not None:
        spec = NetworkSpec.from_dict({**recipe.network, "width": width})
        network = spec.to_dict()
    return dataclasses.replace(recipe, network=network, steps=steps or recipe.steps)


def _objective(recipe: TrainingRecipe) -> Objective:
    if recipe.optimiser == "adam":
        return Objective(recipe.loss, recipe.l2, "adam", 0.0)
    momentum = _MOMENTUM if recipe.optimiser == "momentum" else 0.0
    return Objective(recipe.loss, recipe.l2, "sgd", momentum)


def _lesson(
    recipe: TrainingRecipe, images: np.ndarray, labels: np.ndarray, seed: int
) -> tuple[list[float], Iterator[Batch]]:
    """Return the learning rate of each step, and what it shows."""
    steps, rate = recipe.steps, recipe.learning_rate
    rates = [rate] * steps
    if recipe.schedule == "cosine":
        rates = [rate * (1 + math.cos(math.pi * step / steps)) / 2 for step in range(steps)]
    if recipe.schedule == "step":
        rates = [rate if 2 * step < steps else 0.1 * rate for step in range(steps)]
    return rates, _changed(recipe, _epochs(recipe, images, labels, seed), seed)


def _changed(recipe: TrainingRecipe, batches: Iterator[Batch], seed: int) -> Iterator[Any]:
    """Return batches as the recipe augments them."""
    if recipe.augmentation is None:
        return batches
    if "kinds" in recipe.augmentation:
        siamese = from_plain(SiameseAugmentation, recipe.augmentation)
        return augmented_batches(batches, siamese, seed)
    augmentation = from_plain(Augmentation, recipe.augmentation)
    return (
        (augment(x, augmentation, rng_for(seed, "recipe augment", step)), y)
        for step, (x, y) in enumerate(batches)
    )


def _epochs(
    recipe: TrainingRecipe, images: np.ndarray, labels: np.ndarray, seed: int
) -> Iterator[Batch]:
    """Yield batches of one size, without end: the images in another order each epoch."""
    size = min(recipe.batch_size or len(images), len(images))
    waiting, epoch = np.empty(0, np.intp), 0
    while True:
        while len(waiting) < size:
            order = rng_for(seed, "recipe order", epoch).permutation(len(images))
            waiting, epoch = np.concatenate([waiting, order]), epoch + 1
        chosen, waiting = waiting[:size], waiting[size:]
        yield images[chosen], labels[chosen]
