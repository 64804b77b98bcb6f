"""FRePo as a method: its settings."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any, ClassVar

from stillhouse.data.dataset import Dataset
from stillhouse.data.recipes import TrainingRecipe
from stillhouse.data.siamese import NONE, plain_augmentation
from stillhouse.methods.algorithm import Algorithm
from stillhouse.methods.augmentation import recipe_augment_option
from stillhouse.methods.coordinates import coordinates_option
from stillhouse.methods.corruption import check_corruption, corruption_option
from stillhouse.methods.costs import RunCost, RunSizes, network_cost
from stillhouse.methods.method import Problem
from stillhouse.methods.network_settings import NetworkSettings
from stillhouse.methods.options import at_least, changed, not_negative, option, positive
from stillhouse.methods.programs import ArrayType, FeatureRegression
from stillhouse.networks import INITIALISATIONS, NORMS

if TYPE_CHECKING:
    from stillhouse.methods.kernel_regression.support_set import RegressionConfig

_RULES = ("adam", "adabelief", "lamb")
_F32, _F64 = 4, 8
_BATCH_COPIES = 3


@dataclasses.dataclass(frozen=True)
class FrepoSettings(NetworkSettings):
    """Neural feature regression; see also the network.

    Attributes:
        prepend: put one more convolution before the first block of a convnet.
        norm: what normalises behind every convolution; ignored by networks without any.
        initialisation: what the weights start as.
        pool_size: networks that live beside the set.
        networks: those of a step.
        max_online_updates: steps of a network's life.
        network_rate: of these steps.
        regularisation: the ridge as a share of the mean diagonal of K_ss.
        mirror: regress with the mirror image of each image too.
        steps: updates of the set.
        learning_rate: of the set.
        optimiser: what turns gradients into updates.
        decay: let the rate fall to zero over the run.
        learn_labels: learn the labels of the set too.
        coordinates: in which the optimiser sees the images.
        corruption: the share of the pixels that stay noise.
        recipe_steps: of the training that the set is meant for.
        recipe_rate: its learning rate, which falls to zero.
        recipe_augment: what may happen to the images of its steps.
        recipe_networks: how many are trained for a score of the run.
    """

    about: ClassVar[str] = "learn images by regression on features of networks that learn from them"
    eval_every: ClassVar[int] = 0  # A score trains networks.

    prepend: bool = option(False, "one more convolution before the first block (convnet)")
    norm: str = option("none", "what normalises behind each convolution", choices=NORMS)
    initialisation: str | None = option(
        "xavier",
        "what weights start as: Glorot's, or as in the kernels, whose larger first outputs a "
        "squared error has to undo",
        choices=INITIALISATIONS,
    )
    pool_size: int = option(10, "networks that live beside the set", check=at_least(1))
    networks: int = option(
        1, "those of a step, drawn from the pool: tasks, which workers share", check=at_least(1)
    )
    max_online_updates: int = option(
        100, "steps that a network takes on the set until a new one follows it", check=at_least(0)
    )
    network_rate: float = option(3e-4, "learning rate of these steps, by Adam", check=positive)
    regularisation: float = option(
        1e-6, "ridge, as a share of the kernel's mean diagonal", check=not_negative
    )
    mirror: bool = option(
        False, "regress with the mirror image of each image of the set too; not for digits"
    )
    steps: int = option(2000, "updates of the set", check=at_least(1))
    learning_rate: float = option(0.01, "of the set", check=positive)
    optimiser: str = option(
        "adam", "of the set: Adam, AdaBelief, or LAMB, as published", choices=_RULES
    )
    decay: bool = option(True, "let the rate fall to zero over the run, along a cosine")
    learn_labels: bool = option(True, "learn the labels too; --nolearn_labels fixes them")
    coordinates: str = coordinates_option()
    corruption: float = corruption_option()
    recipe_steps: int = option(
        1000, "steps of the training that the set is meant for", check=at_least(1)
    )
    recipe_rate: float = option(
        1e-3, "its first learning rate, of Adam; it falls to zero along a cosine", check=positive
    )
    recipe_augment: tuple[str, ...] = recipe_augment_option((NONE,))
    recipe_networks: int = option(
        1, "networks that are trained for each score of the run", check=at_least(1)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.norm == "batch":
            raise ValueError(
                "`--norm` batch makes the features of an image depend on its batch; take instance, "
                "layer, group or none"
            )
        if self.networks > self.pool_size:
            raise ValueError(
                f"`--networks` {self.networks} of a step are drawn from a pool of "
                f"{self.pool_size}; use fewer, or a larger --pool_size"
            )
        check_corruption(self.corruption, self.coordinates)

    def steps_for(self, dataset: Dataset) -> int:
        """Return the updates."""
        return self.steps

    def program(self) -> FeatureRegression:
        """Return what a task computes."""
        return FeatureRegression(self.spec, self.regularisation, self.network_rate, self.mirror)

    def config(self) -> "RegressionConfig":
        """Return how the set is learned."""
        from stillhouse.methods.kernel_regression.support_set import RegressionConfig

        return RegressionConfig(
            learning_rate=self.learning_rate,
            decay_steps=self.steps if self.decay else None,
            learn_labels=self.learn_labels,
            regularisation=self.regularisation,
            coordinates=self.coordinates,
            rule=self.optimiser,
        )

    def recipe(self) -> TrainingRecipe:
        """Return ordinary training on the squared error of the labels, all images in each step."""
        return TrainingRecipe(
            self.spec.to_dict(),
            optimiser="adam",
            learning_rate=self.recipe_rate,
            schedule="cosine",
            steps=self.recipe_steps,
            augmentation=plain_augmentation(self.recipe_augment),
            loss="mse",
        )

    def cost(self, sizes: RunSizes, *, steps: int, evaluations: int) -> RunCost:
        """Return the cost of a run.

        Raises:
            ValueError: if there are fewer features than images in the regression.
        """
        from stillhouse.methods.kernel_regression.feature_regression import feature_programs
        from stillhouse.methods.programs.feature_regression import OBJECTIVE
        from stillhouse.networks.descent import programs_for
        from stillhouse.networks.memory import OVERCOUNT

        s, t, shape, k = sizes.support, sizes.chunk, sizes.image_shape, sizes.num_classes
        programs = feature_programs(self.spec, shape, k)
        regressed = 2 * s if self.mirror else s
        if programs.size < regressed:
            raise ValueError(
                f"`--width`: a {self.spec} has {programs.size:,} features, fewer than the "
                f"{regressed:,} images of the regression, whose kernel would be singular; use a "
                "larger --width, or fewer images"
            )
        arrays = (ArrayType((s, *shape)), ArrayType((s, k)), ArrayType((t, *shape)))
        passes = steps * self.networks * self.program().work(arrays, ())
        score = self.recipe_networks * (self.recipe_steps * s + math.ceil(sizes.test / 3))
        training = programs_for(self.spec, OBJECTIVE, shape, k)
        network = 3 * training.network.size * _F32
        memory = {
            "target batch": t * math.prod(shape) * _F32 * _BATCH_COPIES,
            "features": (t + regressed) * programs.size * (_F32 + _F64),
            "networks of the pool": (self.pool_size + 2 * self.networks) * network,
            "network and its activations": training.step_bytes(s) // OVERCOUNT,
        }
        return network_cost(sizes, passes=passes + evaluations * score, memory=memory)

    def algorithm(self, problem: Problem) -> Algorithm[Any]:
        """Return FRePo on a problem."""
        from stillhouse.methods.kernel_regression.frepo import Frepo

        return Frepo(self, problem)

    def identity(self) -> dict[str, Any]:
        """Return what decides the bits of a result."""
        names = [field.name for field in dataclasses.fields(FrepoSettings)]
        own = names[names.index("pool_size") :]
        found = {name: getattr(self, name) for name in own if name != "corruption"}
        found |= {"recipe_augment": list(self.recipe_augment), **changed(self, "corruption")}
        return {**super().identity(), **found}

    def check_given(self, given: frozenset[str]) -> None:
        """Check that no flag would be ignored."""
        if "network_rate" in given and not self.max_online_updates:
            raise ValueError(
                "`--network_rate` has no meaning for networks that take no steps; drop it, or give "
                "--max_online_updates"
            )

    def growing(self) -> str | None:
        """Return the steps, unless the learning rate falls over as many as there are."""
        return None if self.decay else "steps"
