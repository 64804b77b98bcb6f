"""Distillation through gradient steps as a method: its settings."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from stillhouse.data.dataset import Dataset
from stillhouse.data.recipes import Recipe, StepsRecipe
from stillhouse.methods.algorithm import Algorithm
from stillhouse.methods.coordinates import coordinates_option
from stillhouse.methods.corruption import check_corruption, corruption_option
from stillhouse.methods.costs import RunCost, RunSizes, network_cost
from stillhouse.methods.method import Problem
from stillhouse.methods.network_settings import NetworkSettings
from stillhouse.methods.options import at_least, changed, not_negative, option, positive
from stillhouse.methods.programs import ArrayType, UnrolledGradient
from stillhouse.methods.unrolling.initialisation import (
    Initialisation,
    file_fingerprint,
    parse_initialisation,
)
from stillhouse.networks import NETWORKS

OBJECTIVES = ("classify", "misclassify")


def _initialisation(text: str) -> str | None:
    try:
        parse_initialisation(text)
    except ValueError as error:
        return str(error).partition(", got")[0]
    return None


@dataclasses.dataclass(frozen=True)
class UnrollSettings(NetworkSettings):
    """Gradient steps.

    Attributes:
        network: its family.
        distill_steps: T, the gradient steps of an epoch, each on images of its own.
        distill_epochs: E, how often these are gone through.
        initialisation: what networks start from.
        networks: how many a step learns from.
        held_out: the last networks of a pool, which score the set; None for a quarter.
        steps: updates of the set.
        learning_rate: Adam's, of the images.
        step_rate: Adam's, of the logarithms of the step sizes.
        label_rate: Adam's, of the labels.
        decay: let all three fall to zero over the run.
        clip: the largest norm of a gradient; 0 for any.
        step_size: of every step, to begin with.
        learn_step_sizes: learn one for each step of each epoch.
        learn_labels: learn soft labels too.
        truncate: through how many steps the derivative goes, at a random place; 0 for all.
        coordinates: in which the optimiser sees images.
        corruption: the share of the pixels that stay noise.
        objective: what the networks are to do in the end.
        attack_class: with misclassify: whose images are to be taken for another class's.
        target_class: with misclassify: that other class.
        keep_others: with misclassify: the weight of the loss on all other classes.
        score_networks: how many networks score the set during the run.
    """

    about: ClassVar[str] = "learn images and step sizes through gradient steps"

    network: str = option("lenet", "the network", choices=NETWORKS)
    distill_steps: int = option(
        10,
        "T, gradient steps on images of their own: --ipc of each class for each",
        check=at_least(1),
    )
    distill_epochs: int = option(
        3,
        "E, how often these steps are gone through, each time with sizes of their own",
        check=at_least(1),
    )
    initialisation: str = option(
        "random",
        "what networks start from: fixed (the run's seed), random, pool:FOLDER of pretrain, or "
        "file:WEIGHTS, one network of a pool",
        check=_initialisation,
    )
    networks: int = option(
        1, "networks a step of the run learns from (random, pool)", check=at_least(1)
    )
    held_out: int | None = option(
        None,
        "with a pool: its last networks, from which nothing is learned and which score the set "
        "(default: a quarter)",
        check=at_least(0),
    )
    steps: int = option(1000, "updates of the set", check=at_least(1))
    learning_rate: float = option(0.03, "learning rate of Adam, for images", check=positive)
    step_rate: float = option(0.005, "that for the logarithms of the step sizes", check=positive)
    label_rate: float = option(0.002, "that for labels, with --learn_labels", check=positive)
    decay: bool = option(True, "let them fall to zero over the run, along a cosine")
    # Most gradients are about as long; that of a network whose steps have led astray is a hundred
    # times longer, and would outweigh all the others in Adam's means.
    clip: float = option(
        0.05,
        "the largest norm of a gradient, longer ones are shortened; 0: any",
        check=not_negative,
    )
    step_size: float = option(0.05, "the size of each step, to begin with", check=positive)
    learn_step_sizes: bool = option(
        True, "learn them, one for each step of each epoch; --nolearn_step_sizes fixes them"
    )
    learn_labels: bool = option(False, "learn soft labels too")
    truncate: int = option(
        0,
        "stop after a random number of the steps, and differentiate through so many before that; "
        "0: all of them",
        check=at_least(0),
    )
    coordinates: str = coordinates_option()
    corruption: float = corruption_option()
    objective: str = option(
        "classify",
        "networks are to classify the data, or to take --attack_class for --target_class",
        choices=OBJECTIVES,
    )
    attack_class: str | None = option(None, "the name of the class that is attacked (misclassify)")
    target_class: str | None = option(None, "the class that it is to be taken for (misclassify)")
    keep_others: float = option(
        0.0,
        "weight of the loss on all other classes, so that they stay told apart (misclassify)",
        check=not_negative,
    )
    score_networks: int = option(
        5, "networks that score the set during the run and at its end", check=at_least(1)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.norm == "batch":
            raise ValueError(
                "`--norm` batch keeps averages that no gradient step changes; use instance or none"
            )
        if self.truncate > self.all_steps:
            raise ValueError(
                f"`--truncate` {self.truncate} is more than the {self.all_steps} steps there are "
                "(--distill_steps times --distill_epochs)"
            )
        classes = [self.attack_class, self.target_class]
        if self.objective == "misclassify" and None in classes:
            raise ValueError(
                "`--objective` misclassify needs `--attack_class` and `--target_class` beside it"
            )
        if self.objective == "classify" and (classes != [None, None] or self.keep_others):
            raise ValueError(
                "`--attack_class`, `--target_class` and `--keep_others` need "
                "`--objective=misclassify` beside them"
            )
        if classes[0] is not None and classes[0] == classes[1]:
            raise ValueError(
                f"`--attack_class` and `--target_class` must differ, got {classes[0]!r} for both"
            )
        check_corruption(self.corruption, self.coordinates)

    @property
    def weights_start(self) -> str | None:
        """None: random weights start as the family's do, and `initialisation` is another thing."""
        return None

    @property
    def all_steps(self) -> int:
        """The steps of all epochs."""
        return self.distill_steps * self.distill_epochs

    @property
    def start(self) -> Initialisation:
        """What networks start from."""
        return parse_initialisation(self.initialisation)

    def steps_for(self, dataset: Dataset) -> int:
        """Return the updates of the set."""
        return self.steps

    def support_size(self, ipc: int, num_classes: int) -> int:
        """Return how many images there are: `--ipc` of each class for each of the T steps."""
        return self.distill_steps * ipc * num_classes

    def check_support(self, size: int, num_classes: int) -> None:
        """Check that each step has as many images of each class."""
        each = self.distill_steps * num_classes
        if size % each:
            below = size - size % each
            raise ValueError(
                f"{self.distill_steps} steps of as many images of each of {num_classes} classes do "
                f"not make {size} images; try {below or each} or {below + each}"
            )

    def check_data(self, dataset: Dataset, transform: str) -> None:
        """Check that network, initialisation and classes fit the data."""
        super().check_data(dataset, transform)
        for flag in ("attack_class", "target_class"):
            name = getattr(self, flag)
            if name is not None and name not in dataset.class_names:
                raise ValueError(
                    f"`--{flag}`: {dataset.name} has no class {name!r}; it has "
                    f"{', '.join(dataset.class_names)}"
                )
        start = self.start
        start.check(self.spec, dataset, transform)
        if start.kind == "pool":
            start.held_out(self.held_out)

    def check_given(self, given: frozenset[str]) -> None:
        """Check that no flag would be ignored."""
        kind = self.start.kind
        if "networks" in given and kind in ("fixed", "file"):
            raise ValueError(f"`--networks` has no meaning with one {kind} initialisation; drop it")
        if "held_out" in given and kind != "pool":
            raise ValueError("`--held_out` is for --initialisation=pool:FOLDER; drop it")
        if "label_rate" in given and not self.learn_labels:
            raise ValueError("`--label_rate` has no meaning without --learn_labels; drop it")
        if "step_rate" in given and not self.learn_step_sizes:
            raise ValueError("`--step_rate` has no meaning with --nolearn_step_sizes; drop it")

    def program(self) -> UnrolledGradient:
        """Return what a task computes."""
        from_weights = self.start.kind in ("pool", "file")
        return UnrolledGradient(self.spec, "xent", self.truncate, from_weights)

    def cost(self, sizes: RunSizes, *, steps: int, evaluations: int) -> RunCost:
        """Return the cost of a run."""
        from stillhouse.methods.unrolling.unroll import step_programs, unroll_bytes

        k, t = sizes.num_classes, sizes.chunk
        batch = sizes.support // self.distill_steps
        programs = step_programs(self.spec, "xent", sizes.image_shape, k)
        through = self.truncate or self.all_steps
        memory = unroll_bytes(programs, sizes.image_shape, k, batch=batch, targets=t, steps=through)
        shared = (
            ArrayType((sizes.support, *sizes.image_shape)),
            *map(ArrayType, [(sizes.support, k), (self.all_steps,), (self.distill_steps, batch)]),
            *map(ArrayType, [(t, *sizes.image_shape), (t, k), (t,)]),
        )
        passes = steps * self.networks_of_a_step() * self.program().work(shared, ())
        return network_cost(sizes, passes=passes, memory=memory)

    def networks_of_a_step(self) -> int:
        """Return how many networks a step learns from: no more than there are."""
        start = self.start
        if start.kind != "pool":
            return self.networks
        return min(self.networks, len(start.pool) - start.held_out(self.held_out))

    def algorithm(self, problem: Problem) -> Algorithm[Any]:
        """Return the steps on a problem."""
        from stillhouse.methods.unrolling.algorithm import Unrolling

        return Unrolling(self, problem)

    def recipe(self) -> Recipe:
        """Return how a set is meant to be used, with the step sizes of the beginning."""
        sizes = (self.step_size,) * self.all_steps
        return StepsRecipe(self.spec.to_dict(), step_sizes=sizes, **self.recipe_start(0))

    def recipe_start(self, seed: int) -> dict[str, Any]:
        """Return what a recipe says of what networks start from.

        Args:
            seed: of the run.
        """
        start = self.start
        if start.kind == "fixed":
            return {"initialisation": "seed", "seed": seed}
        if start.kind == "pool":
            held = start.held_out(self.held_out)
            return {"initialisation": "pool", "pool": start.pool.fingerprint, "held_out": held}
        if start.kind == "file":
            return {"initialisation": "file", "weights": file_fingerprint(start.file)}
        return {"initialisation": "any"}

    def identity(self) -> dict[str, Any]:
        """Return what decides the bits of a result."""
        names = [field.name for field in dataclasses.fields(UnrollSettings)]
        own = names[names.index("distill_steps") :]
        found = {name: getattr(self, name) for name in own if name != "corruption"}
        found |= {"initialisation": self.start.identity, **changed(self, "corruption")}
        return {**super().identity(), **found}

    def details(self) -> Mapping[str, Any]:
        """Return what the network comes to."""
        return {"network_spec": self.spec.to_dict()}

    def growing(self) -> str | None:
        """Return the steps, unless the learning rate falls over as many as there are."""
        return None if self.decay else "steps"
