"""What the matching methods have in common: a state, an update, scores by training."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import optax

from stillhouse.data.recipes import Recipe
from stillhouse.data.sampling import rng_for
from stillhouse.methods.algorithm import NonFiniteStepError, Support
from stillhouse.methods.corruption import Corruption
from stillhouse.methods.learned import Learned, begin_learning, restore_learning
from stillhouse.methods.matching.scoring import TrainingScoring
from stillhouse.methods.matching.settings import MatchingSettings
from stillhouse.methods.method import Problem

_CARRIED = "carried/"


@dataclasses.dataclass(frozen=True, eq=False)
class MatchingState:
    """What a step starts from, and ends with.

    Attributes:
        learned: the images, float32 `[s, h, w, c]`, and whatever else the method learns.
        labels: float32 `[s, k]`, which stay as they are, all images of class 0 first.
        carried: other arrays that a step hands to the next, such as the weights of a network.
    """

    learned: Learned
    labels: np.ndarray
    carried: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def images(self) -> np.ndarray:
        """The images as they are now."""
        return self.learned.arrays["images"]


@dataclasses.dataclass(frozen=True)
class Found:
    """What a step found.

    Attributes:
        loss: the distance.
        gradients: of it, by name, of all that is learned.
        carried: what the step hands on.
    """

    loss: float
    gradients: Mapping[str, np.ndarray]
    carried: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


class Matching(abc.ABC):
    """An `Algorithm` that moves images, with fixed labels, along the gradient of a distance.

    Args:
        settings: of the method.
        problem: what it works on.
    """

    def __init__(self, settings: MatchingSettings, problem: Problem) -> None:
        self.settings, self.problem = settings, problem
        self._corruption = Corruption(settings.corruption, problem.seed)
        networks = settings.recipe_networks
        self._scoring = TrainingScoring(
            problem.runner, problem.dataset, problem.transform, networks, problem.seed
        )

    @abc.abstractmethod
    def find(self, state: MatchingState, step: int) -> Found:
        """Return the distance at a state and its gradients; `step` counts from 1.

        Afterwards the images are updated, and what is carried goes to the next step.
        """

    def optimiser(self) -> optax.GradientTransformation:
        """Return what updates all that is learned."""
        return self.settings.image_optimiser()

    def others(self) -> dict[str, np.ndarray]:
        """Return what is learned beside the images, as it begins."""
        return {}

    def recipe(self, state: MatchingState) -> Recipe:
        """Return how the set, as it is now, is meant to be used."""
        return self.settings.recipe()

    def number(self, name: str, *stream: int) -> int:
        """Return a seed of 31 bits: a pure function of the run's seed, a name and numbers."""
        return int(rng_for(self.problem.seed, name, *stream).integers(2**31))

    def begin(self) -> MatchingState:
        """Return the state before the first step."""
        images, labels = self.problem.start()
        images = self._corruption.of(np.array(images, np.float32))
        learned = {"images": images, **self.others()}
        return MatchingState(begin_learning(self._optimiser(), learned), labels)

    def advance(self, state: MatchingState, step: int) -> tuple[MatchingState, dict[str, float]]:
        """Return the state after step `step`, and its loss."""
        found = self.find(state, step)
        _check_finite(step, "the loss", np.asarray(found.loss), self.settings)
        learned = state.learned.updated(self._optimiser(), found.gradients)
        for name, array in learned.arrays.items():
            _check_finite(step, f"the update of the {name}", array, self.settings)
        return MatchingState(learned, state.labels, found.carried), {"loss": found.loss}

    def support(self, state: MatchingState) -> Support:
        """Return the images and labels as they are now."""
        return state.images, state.labels

    def score(self, state: MatchingState) -> dict[str, float]:
        """Return the accuracy of networks that are trained on the set."""
        return self._scoring.test(self.recipe(state), *self.support(state))

    def final_scores(self, state: MatchingState, scores: Mapping[str, float]) -> dict[str, Any]:
        """Return nothing more."""
        return {}

    def save(self, state: MatchingState) -> dict[str, np.ndarray]:
        """Return the state as arrays."""
        carried = {_CARRIED + name: array for name, array in state.carried.items()}
        return {**state.learned.to_arrays(), "labels": state.labels, **carried}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> MatchingState:
        """Return the state that `save` gave."""
        learned = restore_learning(self._optimiser(), arrays, ("images", *self.others()))
        if "labels" not in arrays:
            raise ValueError("not a state of this method: it holds no labels")
        carried = {
            name.removeprefix(_CARRIED): array
            for name, array in arrays.items()
            if name.startswith(_CARRIED)
        }
        return MatchingState(learned, arrays["labels"], carried)

    def _optimiser(self) -> optax.GradientTransformation:
        return self._corruption.held(self.optimiser())


def _check_finite(step: int, what: str, value: np.ndarray, settings: MatchingSettings) -> None:
    if not np.isfinite(value).all():
        advice = f"a lower `learning_rate` (now {settings.learning_rate:g})"
        raise NonFiniteStepError(step, what, advice)
