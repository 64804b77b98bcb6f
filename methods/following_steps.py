"""Networks taken through the given steps of a recipe, and what they predict before and after."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stillhouse.data.labels import class_targets, soft_targets
from stillhouse.data.recipes import StepsRecipe
from stillhouse.methods.scores import (
    ACCURACY,
    ATTACKED,
    ATTACKED_BEFORE,
    BEFORE,
    OTHERS,
    OTHERS_BEFORE,
)
from stillhouse.methods.unrolling.initialisation import file_fingerprint
from stillhouse.networks import NetworkSpec
from stillhouse.networks.descent import Programs, descend, looked_at, predicted, programs_for
from stillhouse.networks.objective import Objective
from stillhouse.networks.pool import Pool, read_weights

Start = tuple[object, object]


def targets_of(recipe: StepsRecipe, labels: np.ndarray) -> np.ndarray:
    """Return what a step compares outputs with, float32 `[s, k]`, from a set's labels."""
    if recipe.loss == "mse":
        return labels
    return soft_targets(labels) if recipe.labels == "soft" else class_targets(labels)


def rows_of_steps(images: int, num_classes: int, steps: int) -> np.ndarray:
    """Return the rows of the images of each step of an epoch, int64 `[steps, b]`.

    A set lists its images by class, as many of each; a step has the next few of each.
    """
    rows = np.arange(images, dtype=np.int64).reshape(num_classes, steps, -1)
    return rows.transpose(1, 0, 2).reshape(steps, -1)


def pool_members(recipe: StepsRecipe, pool: Pool) -> range:
    """Return the networks of the recipe's pool that the set is to be judged by.

    Raises:
        ValueError: if the recipe was made for another pool.
    """
    if pool.fingerprint != recipe.pool:
        raise ValueError(
            f"`--pool`: {pool.path} is another pool than the recipe names: its SHA-256 is "
            f"{pool.fingerprint[:16]}, the recipe says {(recipe.pool or '')[:16]}"
        )
    return range(len(pool) - (recipe.held_out or len(pool)), len(pool))


def starts_of(
    recipe: StepsRecipe,
    programs: Programs,
    *,
    networks: int,
    seed: int,
    pool: Pool | None,
    weights: Path | None,
) -> Iterator[Start]:
    """Yield parameters and state of each network that the recipe starts from.

    Args:
        recipe: the recipe.
        programs: of its network.
        networks: how many at most.
        seed: of the first random ones.
        pool: the one that the recipe names, where it does.
        weights: the file that it names, where it does.

    Raises:
        ValueError: if pool or weights are missing, or are others.
        OSError: if they cannot be read.
    """
    network = programs.network
    if recipe.initialisation == "any":
        return map(network.init, range(seed, seed + networks))
    if recipe.initialisation == "seed":
        assert recipe.seed is not None, "the recipe checks it"
        return iter([network.init(recipe.seed)])
    if recipe.initialisation == "pool":
        if pool is None:
            raise ValueError(
                "the recipe starts from the networks of a pool, which is not here; name it by "
                f"--pool (its SHA-256 is {(recipe.pool or '')[:16]})"
            )
        chosen = pool_members(recipe, pool)[:networks]
        return (network.unpack(pool.weights(index)) for index in chosen)
    if weights is None or file_fingerprint(weights) != recipe.weights:
        what = "is not here" if weights is None else "is another one"
        raise ValueError(
            f"the recipe starts from a file of weights, which {what}; name it by --weights (its "
            f"SHA-256 is {(recipe.weights or '')[:16]})"
        )
    return iter([network.unpack(read_weights(weights, network.layout))])


def follow_steps(
    recipe: StepsRecipe,
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
    start: np.ndarray | None = None,
    told: Callable[[], object] = lambda: None,
) -> list[dict[str, float]]:
    """Return the scores of each network that is taken through the steps.

    "test_accuracy" is on all test images. Where networks do not start from random weights there is
    "test_accuracy_before" the steps; and where an attack was learned, "attacked_as_target", the
    share of the attacked class that is taken for the target, and "other_accuracy" on the images of
    the other classes, each with that before.

    Args:
        recipe: the recipe.
        images: those of the set, float32 `[s, h, w, c]`, in its transformed space.
        labels: their labels, `[s, k]`.
        test_images: raw `[n, h, w, c]`.
        test_classes: integers `[n]`.
        prepare: brings raw images into the set's space, a batch at a time.
        networks: how many, where there are several to start from.
        seed: of the first random one; those of the others follow it.
        pool: the one that the recipe names.
        weights: the file of weights that it names.
        start: weights to start from in place of what the recipe says, float32 `[size]`.
        told: called after each network.

    Raises:
        ValueError: if recipe and set do not fit, or pool or weights are missing, or others.
        FloatingPointError: if a loss is not finite.
    """
    spec = NetworkSpec.from_dict(dict(recipe.network))
    objective = Objective(recipe.loss, 0.0, "sgd", 0.0)
    programs = programs_for(spec, objective, images.shape[1:], labels.shape[1])
    targets, rows = targets_of(recipe, labels), [list(step) for step in recipe.rows(len(images))]
    found = []
    starts = iter([] if start is None else [programs.network.unpack(start)])
    if start is None:
        starts = starts_of(
            recipe, programs, networks=networks, seed=seed, pool=pool, weights=weights
        )
    for params, state in starts:
        scores: dict[str, float] = {}
        if recipe.initialisation in ("pool", "file") or recipe.attack:
            before = predicted(programs, params, state, test_images, prepare=prepare)
            scores = _scores(recipe, before, test_classes, (BEFORE, ATTACKED_BEFORE, OTHERS_BEFORE))
        shown = ((images[step], targets[step]) for step in rows)
        params, state = taken(programs, params, state, recipe.rates, shown)
        after = predicted(programs, params, state, test_images, prepare=prepare)
        found.append(scores | _scores(recipe, after, test_classes, (ACCURACY, ATTACKED, OTHERS)))
        told()
    return found


def taken(
    programs: Programs,
    params: object,
    state: object,
    rates: Sequence[float],
    batches: Iterator[tuple[Any, Any]],
) -> Start:
    """Return parameters and state after a step for each learning rate.

    Raises:
        FloatingPointError: if a loss is not finite.
    """
    steps = descend(programs, params, state, rates, batches)
    pairs = (((params, state), values) for params, state, values in steps)
    for number, (after, values) in enumerate(looked_at(pairs), start=1):
        params, state = after
        if not np.isfinite(values).all():
            raise FloatingPointError(f"the loss of step {number} of the recipe is not finite")
    return params, state


def _scores(
    recipe: StepsRecipe, found: np.ndarray, classes: np.ndarray, names: tuple[str, str, str]
) -> dict[str, float]:
    accuracy, attacked, others = names
    scores = {accuracy: float(np.mean(found == classes))}
    if recipe.attack is not None:
        victim, target = recipe.attack
        is_victim = classes == victim
        scores[attacked] = float(np.mean(found[is_victim] == target))
        scores[others] = float(np.mean(found[~is_victim] == classes[~is_victim]))
    return scores
