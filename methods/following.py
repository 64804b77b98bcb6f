"""A distilled set used as its recipe says, where that is through finite networks."""

import json
import math
from collections.abc import Callable, Iterator

import numpy as np

from stillhouse.data.augmentation import Augmentation, augment
from stillhouse.data.recipes import Recipe, StepsRecipe, TrainingRecipe
from stillhouse.data.records import from_plain
from stillhouse.data.sampling import rng_for
from stillhouse.networks import NetworkSpec
from stillhouse.networks.descent import Programs, accuracy, descend, looked_at, programs_for
from stillhouse.networks.objective import Objective

Batch = tuple[np.ndarray, np.ndarray]
_MOMENTUM = 0.9


def recipe_accuracies(
    recipe: Recipe,
    images: np.ndarray,
    labels: np.ndarray,
    test_images: np.ndarray,
    test_classes: np.ndarray,
    *,
    prepare: Callable[[np.ndarray], np.ndarray],
    networks: int = 5,
    seed: int = 0,
    told: Callable[[], object] = lambda: None,
) -> list[float]:
    """Return the test accuracy of each network that is trained on a set by its recipe.

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
        told: called after each network.

    Raises:
        ValueError: if the recipe is of another kind, does not fit the set, or needs networks that
            are not here.
        FloatingPointError: if a network's loss is not finite.
    """
    if not isinstance(recipe, StepsRecipe | TrainingRecipe):
        raise ValueError(f"a recipe of kind {recipe.kind} is not for finite networks")
    spec = NetworkSpec.from_json(json.dumps(dict(recipe.network)))
    if recipe.loss == "xent":
        labels = np.eye(labels.shape[1], dtype=np.float32)[labels.argmax(axis=1)]
    programs = programs_for(spec, _objective(recipe), images.shape[1:], labels.shape[1])
    found = []
    for one in _seeds(recipe, networks, seed):
        params, state = programs.network.init(one)
        rates, batches = _lesson(recipe, images, labels, one)
        params, state = _trained(programs, params, state, rates, batches)
        right = accuracy(programs, params, state, test_images, test_classes, prepare=prepare)
        found.append(right)
        told()
    return found


def _objective(recipe: StepsRecipe | TrainingRecipe) -> Objective:
    if isinstance(recipe, StepsRecipe):
        return Objective(recipe.loss, 0.0, "sgd", 0.0)
    if recipe.optimiser == "adam":
        return Objective(recipe.loss, recipe.l2, "adam", 0.0)
    momentum = _MOMENTUM if recipe.optimiser == "momentum" else 0.0
    return Objective(recipe.loss, recipe.l2, "sgd", momentum)


def _seeds(recipe: StepsRecipe | TrainingRecipe, networks: int, seed: int) -> range:
    """Return the seeds of the weights that networks start from."""
    if isinstance(recipe, TrainingRecipe) or recipe.initialisation == "any":
        return range(seed, seed + networks)
    if recipe.seed is None:
        raise ValueError(
            f"the recipe starts from the networks of the pool {recipe.pool}, which is not here"
        )
    return range(recipe.seed, recipe.seed + 1)


def _lesson(
    recipe: StepsRecipe | TrainingRecipe, images: np.ndarray, labels: np.ndarray, seed: int
) -> tuple[list[float], Iterator[Batch]]:
    """Return the learning rate of each step, and what it shows."""
    if isinstance(recipe, StepsRecipe):
        rows = recipe.order or (tuple(range(len(images))),) * len(recipe.step_sizes)
        if max(map(max, rows)) >= len(images):
            raise ValueError(
                f"the recipe shows image {max(map(max, rows))} of a set of {len(images)}"
            )
        shown = (list(step) for _ in range(recipe.epochs) for step in rows)
        batches = ((images[step], labels[step]) for step in shown)
        return list(recipe.step_sizes) * recipe.epochs, batches
    steps, rate = recipe.steps, recipe.learning_rate
    rates = [rate] * steps
    if recipe.schedule == "cosine":
        rates = [rate * (1 + math.cos(math.pi * step / steps)) / 2 for step in range(steps)]
    return rates, _epochs(recipe, images, labels, seed)


def _epochs(
    recipe: TrainingRecipe, images: np.ndarray, labels: np.ndarray, seed: int
) -> Iterator[Batch]:
    """Yield batches of one size, without end: the images in another order each epoch."""
    size = min(recipe.batch_size or len(images), len(images))
    changes = recipe.augmentation
    augmentation = None if changes is None else from_plain(Augmentation, changes)
    waiting, epoch, step = np.empty(0, np.intp), 0, 0
    while True:
        while len(waiting) < size:
            order = rng_for(seed, "recipe order", epoch).permutation(len(images))
            waiting, epoch = np.concatenate([waiting, order]), epoch + 1
        chosen, waiting = waiting[:size], waiting[size:]
        shown = images[chosen]
        if augmentation is not None:
            shown = augment(shown, augmentation, rng_for(seed, "recipe augment", step))
        yield shown, labels[chosen]
        step += 1


def _trained(
    programs: Programs, params: object, state: object, rates: list[float], batches: Iterator[Batch]
) -> tuple[object, object]:
    steps = descend(programs, params, state, rates, batches)
    pairs = (((params, state), values) for params, state, values in steps)
    for number, (after, values) in enumerate(looked_at(pairs), start=1):
        params, state = after
        if not np.isfinite(values).all():
            raise FloatingPointError(f"the loss of step {number} of the recipe is not finite")
    return params, state
