"""RFAD as a method: its settings."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from stillhouse.data.augmentation import FLIPS, Augmentation
from stillhouse.data.dataset import Dataset
from stillhouse.methods.algorithm import Algorithm
from stillhouse.methods.coordinates import coordinates_option
from stillhouse.methods.costs import RunCost, RunSizes, rfad_cost
from stillhouse.methods.kernel_regression.feature_layers import (
    WIDTH,
    Width,
    check_features,
    feature_layers,
)
from stillhouse.methods.kernel_regression.kernel_settings import (
    KERNELS,
    KernelSettings,
    check_labels_of,
    loss_option,
)
from stillhouse.methods.method import Problem
from stillhouse.methods.options import at_least, changed, not_negative, option, positive

_RULES = ("adam", "adabelief")


def _widths(given: tuple[str, ...]) -> str | None:
    """Check that widths are numbers of channels."""
    right = all(text.strip().isdecimal() and int(text) > 0 for text in given)
    return None if right else "whole numbers from 1 on, such as 16,32,64"


@dataclasses.dataclass(frozen=True)
class RfadSettings(KernelSettings):
    """RFAD.

    Attributes:
        kernel: by which the set is scored; features are those of the NNGP kernel.
        regularisation: the ridge as a share of the mean diagonal of K_ss.
        networks: random networks of a step.
        width: of each, in all layers.
        widths: of each, layer by layer; none for one width.
        redraw: steps after which they are drawn anew.
        cached_groups: groups of networks and targets that are kept.
        steps: gradient steps.
        learning_rate: the optimiser's.
        optimiser: which one.
        decay: let its rate fall to zero over the run.
        learn_labels: learn the labels of the support set too.
        coordinates: in which it sees the images.
        loss: of the predictions for the targets.
        flip: let targets be seen from either side.
    """

    about: ClassVar[str] = "learn images through random features of narrow networks"
    threads: ClassVar[int | None] = 1

    kernel: str = option(
        "nngp", "by which the set is scored; features are of the NNGP kernel", choices=KERNELS
    )
    regularisation: float = option(
        1e-3, "ridge, as a share of the kernel's mean diagonal", check=not_negative
    )
    networks: int = option(8, "random networks of a step", check=at_least(1))
    width: int = option(
        WIDTH, "their width; many narrow ones are worth more than few wide ones", check=at_least(1)
    )
    widths: tuple[str, ...] = option(
        (),
        "in place of --width, that of each layer with weights but the last: 16,32,64 for convnet3 "
        "is worth more for its time than 32,32,32",
        check=_widths,
    )
    redraw: int = option(
        1,
        "draw networks anew after so many steps; with --cached_groups, one of the groups",
        check=at_least(1),
    )
    cached_groups: int = option(
        0,
        "keep so many groups of networks and targets with the features of these, and use one a "
        "step: cheaper steps, worse for finite networks; 0: new targets each step",
        check=at_least(0),
    )
    steps: int = option(500, "gradient steps", check=at_least(1))
    learning_rate: float = option(0.1, "learning rate of the optimiser", check=positive)
    optimiser: str = option("adam", "Adam, or AdaBelief, as published", choices=_RULES)
    decay: bool = option(True, "let the rate fall to zero over the run, along a cosine")
    learn_labels: bool = option(True, "learn the labels too; --nolearn_labels fixes them")
    coordinates: str = coordinates_option()
    loss: str = loss_option()
    flip: bool = option(
        False, "flip half of the target images left to right; not for digits, letters and the like"
    )

    def __post_init__(self) -> None:
        if isinstance(self.widths, tuple | list):  # Of numbers too, for who calls from Python.
            object.__setattr__(self, "widths", tuple(map(str, self.widths)))
        super().__post_init__()

    def check_start(self, labels: np.ndarray) -> None:
        """Check that labels which stay as they are have a class where the loss needs one."""
        check_labels_of(self.loss, self.learn_labels, labels)

    def steps_for(self, dataset: Dataset) -> int:
        """Return the gradient steps."""
        return self.steps

    @property
    def _width(self) -> Width:
        return tuple(map(int, self.widths)) or self.width

    def cost(self, sizes: RunSizes, *, steps: int, evaluations: int) -> RunCost:
        """Return the cost of a run.

        Raises:
            ValueError: if there are fewer features than support images, or widths are not one for
                each layer.
        """
        (spec,) = self.kernels().values()
        layers = feature_layers(spec.architecture, self._width, sizes.image_shape)
        features = self.networks * layers.size
        # Its features are those of the NNGP kernel, whichever scores the set.
        nngp = dataclasses.replace(spec, kind="nngp")
        check_features(
            nngp, self.networks, sizes.support, sizes.image_shape, "networks", self._width
        )
        cost = rfad_cost(
            sizes,
            targets=sizes.chunk,
            networks=self.networks,
            features=features,
            groups=self.cached_groups,
            redraw=self.redraw,
            steps=steps,
            evaluations=evaluations,
        )
        return self.with_final_scores(cost, sizes.support, sizes.chunk)

    def algorithm(self, problem: Problem) -> Algorithm[Any]:
        """Return RFAD on a problem."""
        from stillhouse.methods.kernel_regression.features import FeatureTasks
        from stillhouse.methods.kernel_regression.rfad import Rfad, RfadConfig

        (spec,) = self.kernels().values()
        config = RfadConfig(
            *(spec, self.networks, self.redraw, self.cached_groups, problem.seed),
            learning_rate=self.learning_rate,
            decay_steps=self.steps if self.decay else None,
            learn_labels=self.learn_labels,
            regularisation=self.regularisation,
            coordinates=self.coordinates,
            loss=self.loss,
            rule=self.optimiser,
            corruption=self.corrupted_by(problem),
        )
        scoring = self.scoring(problem, self.computer(problem))
        tasks = FeatureTasks(spec, self._width, problem.runner)
        return Rfad(
            *(config, problem.targets, tasks, problem.start, scoring),
            softmax_scale=problem.softmax_scale,
        )

    def identity(self) -> dict[str, Any]:
        """Return what decides the bits of a result."""
        names = ("networks", "width", "redraw", "cached_groups", "steps", "learning_rate")
        more = ("optimiser", "decay", "learn_labels", "loss")
        return {
            **super().identity(),
            **{name: getattr(self, name) for name in (*names, *more)},
            **changed(self, "coordinates", "flip", "widths"),
        }

    def growing(self) -> str | None:
        """Return the steps, unless the learning rate falls over as many as there are."""
        return None if self.decay else "steps"

    def augmentation(self) -> Augmentation | None:
        """Return what happens to target batches."""
        return FLIPS if self.flip else None

    def check_given(self, given: frozenset[str]) -> None:
        """Check flags that take each other's place, and those that loaders cannot serve."""
        super().check_given(given)
        if {"width", "widths"} <= given:
            raise ValueError("`--width` and `--widths` take each other's place; give one")
        if "loaders" in given and self.cached_groups:
            raise ValueError(
                "`--loaders` prepare the batch of the next step, and --cached_groups keeps those "
                "of before; give one"
            )
