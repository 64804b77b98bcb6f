"""A method as runs see it: a state, a step, scores, and arrays to save."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from stillhouse.data.recipes import Recipe

Support = tuple[np.ndarray, np.ndarray]
"""The images `[s, h, w, c]`, in the transformed space, and their labels `[s, k]`."""
S = TypeVar("S")
_Seen = TypeVar("_Seen", contravariant=True)


class Algorithm(Protocol[S]):
    """A method whose work comes in steps.

    A state is never changed: `advance` gives a new one, so that a step which is interrupted can
    be forgotten.
    """

    def begin(self) -> S:
        """Return the state before the first step."""
        ...

    def advance(self, state: S, step: int) -> tuple[S, dict[str, float]]:
        """Return the state after one more step, number `step` from 1, and what it measured.

        Raises:
            FloatingPointError: if it met NaN or infinity.
        """
        ...

    def support(self, state: S) -> Support:
        """Return the images and labels as they are now."""
        ...

    def score(self, state: S) -> dict[str, float]:
        """Return the scores by the method's recipe: "test_accuracy", and what goes with it.

        Raises:
            Interrupted: if asked to stop meanwhile.
        """
        ...

    def final_scores(self, state: S, scores: Mapping[str, float]) -> dict[str, Any]:
        """Return what else is measured once, at the end: numbers for the card, other JSON values.

        Args:
            state: after the last step.
            scores: what `score` gave of it.
        """
        ...

    def save(self, state: S) -> dict[str, np.ndarray]:
        """Return the state as arrays."""
        ...

    def restore(self, arrays: Mapping[str, np.ndarray]) -> S:
        """Return the state that `save` gave.

        Raises:
            ValueError: if the arrays are those of something else.
        """
        ...


@runtime_checkable
class LearnsRecipe(Protocol[_Seen]):
    """An algorithm that learns a part of its recipe too, such as step sizes."""

    def recipe(self, state: _Seen) -> Recipe:
        """Return how the set, as it is now, is meant to be used."""
        ...


class Interrupted(Exception):
    """The run was asked to stop, and did, in a state from which it goes on.

    Attributes:
        step: how many steps are done.
    """

    def __init__(self, step: int = 0) -> None:
        super().__init__(f"interrupted after step {step}")
        self.step = step


class Deserted(Interrupted):
    """The run was stopped because nobody was there to compute it."""


class NonFiniteStepError(FloatingPointError):
    """A step met NaN or infinity; the state it started from is as it was.

    Attributes:
        step: the number of the step that failed, counted from 1; the state is that after
            step - 1 steps.
    """

    def __init__(self, step: int, what: str, advice: str) -> None:
        super().__init__(f"step {step}: {what} is not finite; try {advice}")
        self.step = step
