"""Ending a run with the best of its states rather than the last."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Generic

import numpy as np

from stillhouse.data.dataset import Dataset
from stillhouse.data.splitting import stratified_split
from stillhouse.methods.algorithm import Algorithm, S, Support

_HELD_OUT = 0.1
_INNER, _BEST = "inner/", "best/"


def hold_out(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Return a dataset without a tenth of its train images, and one that has these as test images.

    The choice is the same for equal datasets. Test images are touched by neither.

    Raises:
        ValueError: if a class has too few images.
    """
    try:
        kept, held = stratified_split(dataset.y_train, _HELD_OUT, 0)
    except ValueError as error:
        raise ValueError(f"`keep` of the best needs images to choose by: {error}") from error
    x, y = dataset.x_train[kept], dataset.y_train[kept]
    learning = dataclasses.replace(dataset, x_train=x, y_train=y)
    chosen_by = dataclasses.replace(
        learning, x_test=dataset.x_train[held], y_test=dataset.y_train[held]
    )
    return learning, chosen_by


@dataclasses.dataclass(frozen=True, eq=False)
class BestState(Generic[S]):
    """The state of a method, and the best support set that it had.

    Attributes:
        inner: the state.
        accuracy: of that support set on the held-out images.
        step: when it was.
        support: it.
    """

    inner: S
    accuracy: float
    step: int
    support: Support


@dataclasses.dataclass(frozen=True)
class KeepBest(Generic[S]):
    """A method whose support set is the best so far on images that it does not learn from.

    Attributes:
        inner: the method.
        judge: the accuracy of a support set on held-out training images.
        score_set: the scores of a support set, as the method's own.
        final_set: what else is measured of a support set at the end, as the method's own.
        every: steps between two judgements.
        steps: how many the run has; the last one is judged too.
    """

    inner: Algorithm[S]
    judge: Callable[[np.ndarray, np.ndarray], float]
    score_set: Callable[[np.ndarray, np.ndarray], dict[str, float]]
    final_set: Callable[[np.ndarray, np.ndarray, int, Mapping[str, float]], dict[str, Any]]
    every: int
    steps: int

    def begin(self) -> BestState[S]:
        """Return the state before the first step, whose support set is the best there is."""
        inner = self.inner.begin()
        support = self.inner.support(inner)
        return BestState(inner, self.judge(*support), 0, support)

    def advance(self, state: BestState[S], step: int) -> tuple[BestState[S], dict[str, float]]:
        """Return the state after step `step`; of equally good support sets the first is kept."""
        inner, values = self.inner.advance(state.inner, step)
        state = dataclasses.replace(state, inner=inner)
        if step % self.every and step != self.steps:
            return state, values
        support = self.inner.support(inner)
        accuracy = self.judge(*support)
        if accuracy > state.accuracy:
            state = BestState(inner, accuracy, step, support)
        return state, {**values, "held_out_accuracy": accuracy}

    def support(self, state: BestState[S]) -> Support:
        """Return the best images and labels so far."""
        return state.support

    def score(self, state: BestState[S]) -> dict[str, float]:
        """Return the scores of the best support set."""
        return self.score_set(*state.support)

    def final_scores(self, state: BestState[S], scores: Mapping[str, float]) -> dict[str, Any]:
        """Return those of the best one, when it was, and its accuracy on the held-out images."""
        found = self.final_set(*state.support, state.step, scores)
        return {**found, "kept_step": state.step, "held_out_accuracy": state.accuracy}

    def save(self, state: BestState[S]) -> dict[str, np.ndarray]:
        """Return the state as arrays."""
        inner = {_INNER + name: array for name, array in self.inner.save(state.inner).items()}
        images, labels = state.support
        best = {
            "images": images,
            "labels": labels,
            "accuracy": np.array(state.accuracy),
            "step": np.array(state.step),
        }
        return {**inner, **{_BEST + name: array for name, array in best.items()}}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> BestState[S]:
        """Return the state that `save` gave."""
        inner = {n[len(_INNER) :]: a for n, a in arrays.items() if n.startswith(_INNER)}
        best = {n[len(_BEST) :]: a for n, a in arrays.items() if n.startswith(_BEST)}
        return BestState(
            self.inner.restore(inner),
            float(best["accuracy"]),
            int(best["step"]),
            (best["images"], best["labels"]),
        )
