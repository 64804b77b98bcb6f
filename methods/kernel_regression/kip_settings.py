"""KIP as a method: its settings."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from stillhouse.data.augmentation import Augmentation
from stillhouse.data.dataset import Dataset
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.algorithm import Algorithm
from stillhouse.methods.architectures import POOLABLE, parse_ensemble
from stillhouse.methods.coordinates import coordinates_option
from stillhouse.methods.costs import RunCost, RunSizes, kip_cost
from stillhouse.methods.kernel_regression.kernel_settings import (
    TARGETS,
    KernelSettings,
    check_labels_of,
    loss_option,
)
from stillhouse.methods.method import Problem
from stillhouse.methods.options import at_least, changed, option, positive
from stillhouse.methods.target_batch import target_batch_option


@dataclasses.dataclass(frozen=True)
class KipSettings(KernelSettings):
    """KIP.

    Attributes:
        target_batch: images a step learns from; None for ten times the set's, 100 to 1,000.
        ensemble: `family:depth` of several networks, one sampled a step; empty for one network.
        steps: gradient steps.
        learning_rate: Adam's.
        decay: let it fall to zero over the run.
        learn_labels: learn the labels of the support set too.
        coordinates: in which Adam sees the images.
        loss: of the predictions for the targets.
        keep: which images the run ends with.
        augment: augment the target batches.
        flip: whether augmenting flips images left to right.
    """

    about: ClassVar[str] = "learn images by gradient descent"

    target_batch: int | None = target_batch_option(
        "ten for each image of the set, from 100 to 1000"
    )
    ensemble: tuple[str, ...] = option(
        (), "sample one of these a step, such as convnet:3,conv:3,fc:2; the first one is evaluated"
    )
    steps: int = option(1000, "gradient steps", check=at_least(1))
    learning_rate: float = option(0.1, "learning rate of Adam", check=positive)
    decay: bool = option(True, "let it fall to zero over the run, along a cosine")
    learn_labels: bool = option(True, "learn the labels too; --nolearn_labels fixes them")
    coordinates: str = coordinates_option()
    loss: str = loss_option()
    keep: str = option(
        "last",
        "end with the last images, or with the best by a tenth of the training images that is held "
        "out, looked at every --eval_every steps",
        choices=("last", "best"),
    )
    augment: bool = option(False, "shift, rotate, flip and tint half of each target batch")
    flip: bool = option(True, "with --augment; --noflip for digits, letters and the like")

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_ensemble(self.ensemble)

    def kernels(self) -> dict[str, KernelSpec]:
        """Return the kernels, one of which each step samples; the first one is evaluated."""
        if not self.ensemble:
            return super().kernels()
        return {
            # A global pool for those that have a choice.
            f"{name}:{depth}": self._spec(name, depth, self.global_pool and name in POOLABLE)
            for name, depth in parse_ensemble(self.ensemble)
        }

    def check_start(self, labels: np.ndarray) -> None:
        """Check that labels which stay as they are have a class where the loss needs one."""
        check_labels_of(self.loss, self.learn_labels, labels)

    def usual_targets(self, support: int) -> int:
        """Return ten for each image of the set: a small set gains more by steps than by targets."""
        return min(max(10 * support, 100), TARGETS)

    def steps_for(self, dataset: Dataset) -> int:
        """Return the gradient steps."""
        return self.steps

    def cost(self, sizes: RunSizes, *, steps: int, evaluations: int) -> RunCost:
        """Return the cost of a run."""
        # At the end the other kernels of an ensemble score the set too.
        evaluations += len(self.kernels()) - 1
        cost = kip_cost(sizes, targets=sizes.chunk, steps=steps, evaluations=evaluations)
        return self.with_final_scores(cost, sizes.support, sizes.chunk)

    def algorithm(self, problem: Problem) -> Algorithm[Any]:
        """Return KIP on a problem."""
        from stillhouse.methods.kernel_regression.kip import Kip, KipConfig

        config = KipConfig(
            tuple(self.kernels().values()),
            problem.seed,
            learning_rate=self.learning_rate,
            decay_steps=self.steps if self.decay else None,
            learn_labels=self.learn_labels,
            regularisation=self.regularisation,
            coordinates=self.coordinates,
            loss=self.loss,
            corruption=self.corrupted_by(problem),
        )
        computer = self.computer(problem)
        scoring = self.scoring(problem, computer)
        kip = Kip(
            *(config, problem.targets, computer, problem.start, scoring),
            softmax_scale=problem.softmax_scale,
        )
        if problem.chosen_by is None:
            return kip
        from stillhouse.methods.keep_best import KeepBest

        plain = dataclasses.replace(problem.plain, dataset=problem.chosen_by)
        held = dataclasses.replace(scoring, batches=plain)

        def judge(images: np.ndarray, labels: np.ndarray) -> float:
            return held.test(images, labels)["test_accuracy"]

        every = problem.judge_every
        return KeepBest(kip, judge, scoring.test, scoring.final, every, problem.steps)

    def identity(self) -> dict[str, Any]:
        """Return what decides the bits of a result."""
        return {
            **changed(self, "keep", "coordinates"),
            # Runs of before did not say that theirs is the squared error.
            **({} if self.loss == "mse" else {"loss": self.loss}),
            **super().identity(),
            "augment": self.augment,
            "flip": self.augment and self.flip,
            "steps": self.steps,
            "learning_rate": self.learning_rate,
            "decay": self.decay,
            "learn_labels": self.learn_labels,
        }

    def growing(self) -> str | None:
        """Return the steps, unless the learning rate falls over as many as there are."""
        return None if self.decay or self.keep == "best" else "steps"

    def holds_out(self) -> bool:
        """Return whether the best images are chosen, by training images that are held out."""
        return self.keep == "best"

    def augmentation(self) -> Augmentation | None:
        """Return what happens to target batches."""
        return Augmentation(flip=self.flip) if self.augment else None

    def check_given(self, given: frozenset[str]) -> None:
        """Check flags that take each other's place."""
        super().check_given(given)
        for name in ("architecture", "depth"):
            if {name, "ensemble"} <= given:
                raise ValueError(f"`--{name}` and `--ensemble` take each other's place; give one")
        if "flip" in given and not self.augment:
            raise ValueError("`--flip` has no meaning without --augment; drop it, or augment")
