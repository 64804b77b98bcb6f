"""Networks that follow a set's recipe: what they start from is found, and their scores."""

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stillhouse.data.distilled import DistilledSet
from stillhouse.data.recipes import Recipe, StepsRecipe
from stillhouse.data.transforms import Transform
from stillhouse.methods.scores import ACCURACY
from stillhouse.methods.unrolling.initialisation import file_fingerprint, parse_initialisation
from stillhouse.networks.pool import Pool

if TYPE_CHECKING:
    from stillhouse.launch.settings.sets import RecipeConfig


@dataclasses.dataclass(frozen=True)
class NetworkScores:
    """The scores of a set by networks that follow its recipe.

    Attributes:
        each: those of each network, "test_accuracy" among them; for what else see
            `stillhouse.methods.following_steps.follow_steps`.
    """

    each: tuple[dict[str, float], ...]

    @property
    def accuracy(self) -> float:
        """The mean of the test accuracies."""
        return self.mean(ACCURACY)

    @property
    def deviation(self) -> float:
        """Their standard deviation; 0 of one."""
        return self.std(ACCURACY)

    def mean(self, name: str) -> float:
        """Return the mean of a score over the networks."""
        return float(np.mean([scores[name] for scores in self.each]))

    def std(self, name: str) -> float:
        """Return the standard deviation of a score over the networks, of a sample; 0 of one."""
        found = [scores[name] for scores in self.each]
        return float(np.std(found, ddof=1)) if len(found) > 1 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return them for JSON."""
        found: dict[str, Any] = {name: self.mean(name) for name in self.each[0]}
        found |= {f"{name}_deviation": self.std(name) for name in self.each[0]}
        return {**found, "accuracies": [scores[ACCURACY] for scores in self.each]}

    def lines(self) -> list[str]:
        """Return them for people."""
        count, first = len(self.each), self.each[0]

        def shown(name: str) -> str:
            return f"{self.mean(name):.4f}" + (f" +- {self.std(name):.4f}" if count > 1 else "")

        def with_before(name: str) -> str:
            before = f"{name}_before"
            return f"{shown(before)} before the steps, {shown(name)} after them"

        if count == 1:
            lines = [f"test accuracy {self.accuracy:.4f} of 1 network"]
        else:
            lines = [f"test accuracy {shown(ACCURACY)} of {count} networks"]
        if f"{ACCURACY}_before" in first:
            lines.append(f"all images       {with_before(ACCURACY)}")
        if "attacked_as_target" in first:
            lines.append(f"taken for target {with_before('attacked_as_target')}")
            lines.append(f"other classes    {with_before('other_accuracy')}")
        return lines


def follow(
    recipe: Recipe,
    distilled: DistilledSet,
    test: tuple[np.ndarray, np.ndarray],
    transform: Transform,
    asked: "RecipeConfig",
    *,
    told: Callable[[], object] = lambda: None,
) -> NetworkScores:
    """Return the scores of networks that follow a recipe.

    Args:
        recipe: the recipe.
        distilled: the set.
        test: raw test images `[n, h, w, c]` and their classes, integers `[n]`.
        transform: brings them into the set's space.
        asked: how many networks, from what.
        told: called after each.

    Raises:
        ValueError: if it does not fit the set, or needs a pool or weights that are not here.
        OSError: if these cannot be read.
        FloatingPointError: if a loss is not finite.
    """
    # Only here: the library of networks takes its time to import.
    from stillhouse.methods.following import recipe_scores

    pool, weights = starts_for(recipe, distilled, asked)
    found = recipe_scores(
        *(recipe, distilled.images, distilled.labels, *test),
        prepare=transform.apply,
        networks=asked.networks,
        seed=asked.seed,
        pool=pool,
        weights=weights,
        told=told,
    )
    return NetworkScores(tuple(found))


def starts_for(
    recipe: Recipe, distilled: DistilledSet, asked: "RecipeConfig"
) -> tuple[Pool | None, Path | None]:
    """Return the pool, or the file of weights, that a recipe names.

    What is not asked for is looked for where the set's run had it.

    Raises:
        ValueError: if one is asked for that the recipe does not need, or holds no pool.
        OSError: if it cannot be read.
    """
    kind = recipe.initialisation if isinstance(recipe, StepsRecipe) else "any"
    for flag, path, needed in (("pool", asked.pool, "pool"), ("weights", asked.weights, "file")):
        if path is not None and kind != needed:
            raise ValueError(f"`--{flag}` has no meaning for this set, whose recipe names none")
    if not isinstance(recipe, StepsRecipe) or kind not in ("pool", "file"):
        return None, None
    known = None if distilled.card is None else distilled.card.config.get("initialisation")
    if kind == "pool":
        return (Pool(Path(asked.pool).expanduser()) if asked.pool else _pool(known, recipe)), None
    return None, (Path(asked.weights).expanduser() if asked.weights else _file(known, recipe))


def _pool(known: object, recipe: StepsRecipe) -> Pool | None:
    """Return the pool of the run, if it is there still, and is the one that the recipe names."""
    with contextlib.suppress(ValueError, OSError):  # Elsewhere, or another one by now.
        start = parse_initialisation(str(known))
        if start.kind == "pool" and start.pool.fingerprint == recipe.pool:
            return start.pool
    return None


def _file(known: object, recipe: StepsRecipe) -> Path | None:
    with contextlib.suppress(ValueError, OSError):
        start = parse_initialisation(str(known))
        if start.kind == "file" and file_fingerprint(start.file) == recipe.weights:
            return start.file
    return None
