"""How a distilled set is meant to be used: as data, in its card."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from stillhouse.data.records import from_plain, to_plain
from stillhouse.kernels.spec import KernelSpec

LOSSES = ("mse", "xent")
INITIALISATIONS = ("seed", "any", "pool", "file")
LABELS = ("classes", "soft")
OPTIMISERS = ("sgd", "momentum", "adam")
SCHEDULES = ("constant", "cosine", "step")


class Recipe:
    """A way to use a distilled set; a frozen dataclass.

    Attributes:
        kind: what cards call it.
    """

    kind: ClassVar[str]


@dataclasses.dataclass(frozen=True)
class KrrRecipe(Recipe):
    """Kernel ridge regression on the set.

    Attributes:
        kernel: the kernel.
        regularisation: the ridge as a share of the mean diagonal of the set's kernel.

    Raises:
        ValueError: if the ridge is negative.
    """

    kind: ClassVar[str] = "krr"

    kernel: KernelSpec
    regularisation: float = 1e-6

    def __post_init__(self) -> None:
        _check(self, "regularisation", _not_negative(self.regularisation), "zero or positive")


@dataclasses.dataclass(frozen=True)
class StepsRecipe(Recipe):
    """Given gradient steps from given initialisations, as in Wang et al. 2018.

    Attributes:
        network: the network, as the JSON object of its spec.
        initialisation: what its weights start as: one "seed", "any" random ones, those of a
            "pool", or those of one "file".
        step_sizes: the learning rate of each step: of those of one epoch, or of all epochs.
        seed: of the weights, where `initialisation` is "seed".
        pool: the fingerprint of the pool, where it is "pool".
        order: the images of each step, as rows of the set; all of them in every step where empty.
        epochs: how often the steps are gone through.
        loss: what a step descends: "mse" or "xent".
        labels: what a label is to "xent": its largest of the "classes", or, "soft", all of it, with
            1/k added again.
        held_out: how many of the pool's last networks nothing was learned from; 0 where it was from
            all of them.
        weights: the SHA-256 of the weights, where `initialisation` is "file".
        attack: the class whose images are to be taken for those of another, and the other one;
            None where all images are to be told apart.

    Raises:
        ValueError: if a value is out of its range, or parts do not belong together.

    References:
        Wang, Zhu, Torralba, Efros. Dataset Distillation. 2018, https://arxiv.org/abs/1811.10959
    """

    kind: ClassVar[str] = "steps"

    network: Mapping[str, Any]
    initialisation: str
    step_sizes: tuple[float, ...]
    seed: int | None = None
    pool: str | None = None
    order: tuple[tuple[int, ...], ...] = ()
    epochs: int = 1
    loss: str = "xent"
    labels: str = "classes"
    held_out: int = 0
    weights: str | None = None
    attack: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        _check_choice(self, "initialisation", INITIALISATIONS)
        _check_choice(self, "labels", LABELS)
        _check_choice(self, "loss", LOSSES)
        _check(self, "network", bool(self.network), "the JSON object of a network's spec")
        rates = bool(self.step_sizes) and all(map(math.isfinite, self.step_sizes))
        _check(self, "step_sizes", rates, "one finite number for each step")
        _check(self, "epochs", self.epochs >= 1, "1 or more")
        _check(self, "seed", (self.seed is not None) == (self.initialisation == "seed"),
               "there for the initialisation 'seed', and for no other")  # fmt: skip
        _check(self, "pool", (self.pool is not None) == (self.initialisation == "pool"),
               "there for the initialisation 'pool', and for no other")  # fmt: skip
        _check(self, "weights", (self.weights is not None) == (self.initialisation == "file"),
               "there for the initialisation 'file', and for no other")  # fmt: skip
        held = self.held_out == 0 or (self.pool is not None and self.held_out > 0)
        _check(self, "held_out", held, "0, or with a pool more")
        attack = self.attack is None or (min(self.attack) >= 0 and len(set(self.attack)) == 2)
        _check(self, "attack", attack, "two classes, or none")
        rows = all(step and min(step) >= 0 for step in self.order)
        steps = len(self.order)
        right = rows and (not steps or len(self.step_sizes) in (steps, steps * self.epochs))
        _check(self, "order", right, "the rows of each step, as many steps as step sizes")

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rate of each step of all epochs."""
        if self.order and len(self.step_sizes) > len(self.order):
            return self.step_sizes
        return self.step_sizes * self.epochs

    def rows(self, images: int) -> tuple[tuple[int, ...], ...]:
        """Return the images of each step of all epochs.

        Args:
            images: how many the set has.

        Raises:
            ValueError: if it shows one that there is not.
        """
        if not self.order:
            return (tuple(range(images)),) * len(self.rates)
        last = max(map(max, self.order))
        if last >= images:
            raise ValueError(f"the recipe shows image {last} of a set of {images}")
        return self.order * self.epochs


@dataclasses.dataclass(frozen=True)
class TrainingRecipe(Recipe):
    """Ordinary training on the set, from random weights.

    Attributes:
        network: the network, as the JSON object of its spec.
        optimiser: "sgd", "momentum" (of 0.9) or "adam".
        learning_rate: the first one.
        schedule: what becomes of it: "constant", "cosine", to zero, or "step", to a tenth of it
            after half of the steps.
        batch_size: images a step sees; None for all of them.
        steps: how many steps.
        augmentation: of batches, as the JSON object of an `Augmentation`, or of a
            `SiameseAugmentation`, which has `kinds`; None for none.
        l2: the weight of half the squared weights in the loss.
        loss: "mse" or "xent".

    Raises:
        ValueError: if a value is out of its range.
    """

    kind: ClassVar[str] = "training"

    network: Mapping[str, Any]
    optimiser: str = "momentum"
    learning_rate: float = 0.01
    schedule: str = "constant"
    batch_size: int | None = None
    steps: int = 1000
    augmentation: Mapping[str, Any] | None = None
    l2: float = 0.0
    loss: str = "xent"

    def __post_init__(self) -> None:
        _check(self, "network", bool(self.network), "the JSON object of a network's spec")
        _check_choice(self, "optimiser", OPTIMISERS)
        _check_choice(self, "schedule", SCHEDULES)
        _check_choice(self, "loss", LOSSES)
        rate = self.learning_rate
        _check(self, "learning_rate", math.isfinite(rate) and rate > 0, "positive")
        for name in ("batch_size", "steps"):
            value = getattr(self, name)
            _check(self, name, value is None or value >= 1, "1 or more")
        _check(self, "l2", _not_negative(self.l2), "zero or positive")


# A recipe of another kind is one line more.
_RECIPES: dict[str, type[Recipe]] = {
    recipe.kind: recipe for recipe in (KrrRecipe, StepsRecipe, TrainingRecipe)
}


def recipe_to_plain(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as a JSON object: its kind and settings."""
    return {"kind": recipe.kind, **to_plain(recipe)}


def recipe_from_plain(entries: Any) -> Recipe:
    """Return the recipe of which `recipe_to_plain` gave the entries.

    Raises:
        ValueError: if they are none, or of a kind that is not known here.
    """
    if not isinstance(entries, Mapping) or "kind" not in entries:
        raise ValueError(f"a recipe must be a JSON object with a kind, got {entries!r:.100}")
    kind = entries["kind"]
    if not isinstance(kind, str) or kind not in _RECIPES:
        raise ValueError(
            f"no recipe of kind {kind!r:.40} is known here, only {', '.join(_RECIPES)}"
        )
    settings = {name: value for name, value in entries.items() if name != "kind"}
    return from_plain(_RECIPES[kind], settings)


def _not_negative(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _check_choice(recipe: Recipe, name: str, choices: tuple[str, ...]) -> None:
    _check(recipe, name, getattr(recipe, name) in choices, f"one of {', '.join(choices)}")


def _check(recipe: Recipe, name: str, right: bool, expected: str) -> None:
    if not right:
        raise ValueError(
            f"`{name}` of a recipe of kind {recipe.kind} must be {expected}, got "
            f"{getattr(recipe, name)!r:.100}"
        )
