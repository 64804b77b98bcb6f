"""The settings that all matching methods have."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any, ClassVar

from stillhouse.data.dataset import Dataset
from stillhouse.data.recipes import TrainingRecipe
from stillhouse.data.siamese import (
    ALL,
    SiameseAugmentation,
    plain_augmentation,
    siamese_augmentation,
)
from stillhouse.methods.augmentation import augment_option, recipe_augment_option
from stillhouse.methods.coordinates import coordinates_option, in_coordinates
from stillhouse.methods.corruption import check_corruption, corruption_option
from stillhouse.methods.costs import RunCost, RunSizes, network_cost
from stillhouse.methods.network_settings import NetworkSettings
from stillhouse.methods.options import at_least, changed, option, positive
from stillhouse.methods.target_batch import target_batch_size
from stillhouse.networks import NORMS

if TYPE_CHECKING:
    import optax

OPTIMISERS = ("sgd", "adam")
_REAL_OF_CLASS = 256
_L2 = 5e-4


@dataclasses.dataclass(frozen=True)
class MatchingSettings(NetworkSettings):
    """Matching; see also the network and its training.

    Attributes:
        prepend: put one more convolution before the first block of a convnet.
        norm: what normalises behind every convolution; ignored by networks without any.
        steps: updates of the images.
        learning_rate: of the images.
        optimiser: what turns gradients into updates.
        momentum: of gradient descent.
        decay: let the rate fall to zero over the run.
        coordinates: in which the optimiser sees the images.
        corruption: the share of the pixels that stay noise.
        augment: what may happen to real and synthetic images alike.
        recipe_steps: of the training that the set is meant for.
        recipe_rate: its first learning rate, a tenth of it after half of the steps.
        recipe_augment: what may happen to the images of its steps; as `augment` where empty.
        recipe_networks: how many are trained for a score of the run.
    """

    eval_every: ClassVar[int] = 0  # A score trains networks.

    prepend: bool = option(False, "one more convolution before the first block (convnet)")
    norm: str = option("instance", "what normalises behind each convolution", choices=NORMS)
    steps: int = option(1000, "updates of the images", check=at_least(1))
    learning_rate: float = option(1.0, "of the images", check=positive)
    optimiser: str = option("sgd", "what turns gradients into updates", choices=OPTIMISERS)
    momentum: float = option(
        0.5, "of sgd", check=lambda value: None if 0 <= value < 1 else "zero or more, and below one"
    )
    decay: bool = option(False, "let the rate fall to zero over the run, along a cosine")
    coordinates: str = coordinates_option()
    corruption: float = corruption_option()
    augment: tuple[str, ...] = augment_option((ALL,))
    recipe_steps: int = option(
        1000, "steps of the training that the set is meant for", check=at_least(1)
    )
    recipe_rate: float = option(
        0.01, "its first learning rate; a tenth of it after half of the steps", check=positive
    )
    recipe_augment: tuple[str, ...] = recipe_augment_option((), " (default: as --augment)")
    recipe_networks: int = option(
        1, "networks that are trained for each score of the run", check=at_least(1)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.norm == "batch":
            raise ValueError(
                "`--norm` batch normalises over a batch, and matching averages over "
                "batches of one class; take instance, layer, group or none"
            )
        check_corruption(self.corruption, self.coordinates)

    @property
    def siamese(self) -> SiameseAugmentation | None:
        """What may happen to real and synthetic images alike."""
        return siamese_augmentation(self.augment)

    def batch_size(self, dataset: Dataset, support: int) -> int:
        """Return how many real images a step has, as many of each class."""
        classes = dataset.num_classes
        if self.target_batch is not None and self.target_batch % classes:
            below = max(self.target_batch - self.target_batch % classes, classes)
            raise ValueError(
                f"`--target_batch` must be a multiple of the {classes} classes, got "
                f"{self.target_batch}; try {below}"
            )
        return target_batch_size(self.target_batch, _REAL_OF_CLASS * classes, dataset)

    def steps_for(self, dataset: Dataset) -> int:
        """Return the updates."""
        return self.steps

    def recipe(self) -> TrainingRecipe:
        """Return ordinary training, as published."""
        return TrainingRecipe(
            self.spec.to_dict(),
            learning_rate=self.recipe_rate,
            schedule="step",
            batch_size=_REAL_OF_CLASS,
            steps=self.recipe_steps,
            augmentation=plain_augmentation(self.recipe_augment or self.augment),
            l2=_L2,
        )

    def identity(self) -> dict[str, Any]:
        """Return what decides the bits of a result."""
        own = (
            *("steps", "learning_rate", "optimiser", "momentum", "decay", "coordinates"),
            *("recipe_steps", "recipe_rate", "recipe_networks"),
        )
        settings = {name: getattr(self, name) for name in own}
        settings |= {"augment": list(self.augment)}
        return {**super().identity(), **settings, **changed(self, "corruption", "recipe_augment")}

    def growing(self) -> str | None:
        """Return the steps, unless the rate falls over as many as there are."""
        return None if self.decay else "steps"

    def check_given(self, given: frozenset[str]) -> None:
        """Check flags that would be ignored."""
        if "momentum" in given and self.optimiser != "sgd":
            raise ValueError("`--momentum` has no meaning with --optimiser=adam; drop it")

    def image_optimiser(self) -> "optax.GradientTransformation":
        """Return what makes updates of the images' gradients."""
        return in_coordinates(self.update_rule(self.learning_rate), self.coordinates)

    def update_rule(self, rate: float) -> "optax.GradientTransformation":
        """Return what makes updates of gradients, at a first learning rate."""
        import optax

        falling: Any = optax.cosine_decay_schedule(rate, self.steps) if self.decay else rate
        if self.optimiser == "adam":
            return optax.adam(falling)
        return optax.sgd(falling, self.momentum)

    def cost_of(
        self, sizes: RunSizes, *, step: int, batch: int, steps: int, evaluations: int
    ) -> RunCost:
        """Return the cost of a run.

        Args:
            sizes: of the run.
            step: passes of a step.
            batch: the most images that go through a network at once.
            steps: how many there are.
            evaluations: how often the set is scored.
        """
        from stillhouse.networks.descent import programs_for
        from stillhouse.networks.memory import OVERCOUNT
        from stillhouse.networks.objective import Objective

        programs = programs_for(self.spec, Objective(), sizes.image_shape, sizes.num_classes)
        trained = self.recipe_steps * min(sizes.support, _REAL_OF_CLASS)
        score = self.recipe_networks * (trained + math.ceil(sizes.test / 3))
        memory = {"network and its activations": programs.step_bytes(batch) // OVERCOUNT}
        return network_cost(sizes, passes=steps * step + evaluations * score, memory=memory)
