"""Gradient matching as two methods: their settings."""

import dataclasses
from typing import Any, ClassVar

from stillhouse.data.siamese import ALL, NONE
from stillhouse.methods.algorithm import Algorithm
from stillhouse.methods.augmentation import augment_option
from stillhouse.methods.costs import RunCost, RunSizes
from stillhouse.methods.matching.class_settings import ClassMatchingSettings
from stillhouse.methods.method import Problem
from stillhouse.methods.options import at_least, option, positive
from stillhouse.methods.programs.gradient_match import SYNTHETIC_PASSES

# Images a class, and up to how many: matching steps of a network's life, and its own steps between.
_LOOPS = ((1, 1, 1), (10, 10, 50), (20, 20, 25), (30, 30, 20), (40, 40, 15))
_MOST = (50, 10)


@dataclasses.dataclass(frozen=True)
class DcSettings(ClassMatchingSettings):
    """Gradient matching.

    Attributes:
        steps: updates of the images.
        learning_rate: of the images.
        augment: what may happen to real and synthetic images alike.
        outer_steps: matching steps of a network's life.
        inner_steps: steps of the network between two of them.
        network_rate: of these steps.
        alternate: let one network live through matching steps, as published.
        recipe_steps: of the training that the set is meant for.
    """

    about: ClassVar[str] = "match gradients"
    network_batch: ClassVar[int] = 256

    steps: int = option(1000, "updates of the images", check=at_least(1))
    learning_rate: float = option(0.1, "of the images", check=positive)
    augment: tuple[str, ...] = augment_option((NONE,))
    outer_steps: int | None = option(
        None,
        "matching steps of a network's life (default, as published: 1, 10 or 50 for 1, 10 or 50 "
        "images a class)",
        check=at_least(1),
    )
    inner_steps: int | None = option(
        None,
        "steps of the network on the images between two of them (default, as published: 50 or 10 "
        "for 10 or 50 images a class)",
        check=at_least(1),
    )
    network_rate: float = option(0.01, "learning rate of these steps", check=positive)
    alternate: bool = option(
        False,
        "let one network live through its matching steps while the images change, as published; "
        "else each step brings fresh ones to a random age on the images of now",
    )
    recipe_steps: int = option(
        300, "steps of the training that the set is meant for", check=at_least(1)
    )

    def loops(self, ipc: int) -> tuple[int, int]:
        """Return the matching steps of a network's life, and its own steps between them."""
        outer, inner = next((loop[1:] for loop in _LOOPS if ipc <= loop[0]), _MOST)
        return self.outer_steps or outer, self.inner_steps or inner

    def identity(self) -> dict[str, Any]:
        """Return what decides the bits of a result."""
        own = ("outer_steps", "inner_steps", "network_rate", "alternate")
        return {**super().identity(), **{name: getattr(self, name) for name in own}}

    def check_given(self, given: frozenset[str]) -> None:
        """Check flags that would be ignored."""
        super().check_given(given)
        if self.alternate and self.networks > 1:
            raise ValueError("`--alternate` follows one network; drop `--networks`")

    def cost(self, sizes: RunSizes, *, steps: int, evaluations: int) -> RunCost:
        """Return the cost of a run, about: how old networks are is random."""
        outer, inner = self.loops(sizes.support // sizes.num_classes)
        age = inner * (outer - 1) / (outer if self.alternate else 2)
        trained = round(age * min(sizes.support, self.network_batch))
        step = self.networks * (SYNTHETIC_PASSES * sizes.support + sizes.chunk + trained)
        batch = max(sizes.chunk // sizes.num_classes, min(sizes.support, self.network_batch))
        return self.cost_of(sizes, step=step, batch=batch, steps=steps, evaluations=evaluations)

    def algorithm(self, problem: Problem) -> Algorithm[Any]:
        """Return DC on a problem."""
        from stillhouse.methods.matching.gradient import GradientMatching

        return GradientMatching(self, problem)


@dataclasses.dataclass(frozen=True)
class DsaSettings(DcSettings):
    """Gradient matching with augmentation.

    Attributes:
        augment: what may happen to real and synthetic images alike.
        recipe_steps: of the training that the set is meant for.
    """

    about: ClassVar[str] = "match gradients of augmented images"

    augment: tuple[str, ...] = augment_option((ALL,))
    recipe_steps: int = option(
        1000, "steps of the training that the set is meant for", check=at_least(1)
    )
