"""Real and synthetic images that are compared class by class, as tasks, and their sum."""

import abc
from collections.abc import Sequence

import numpy as np

from stillhouse.methods.matching.algorithm import Found, Matching, MatchingState
from stillhouse.methods.matching.class_settings import ClassMatchingSettings
from stillhouse.methods.method import Problem
from stillhouse.methods.programs.class_match import ClassMatch
from stillhouse.methods.programs.program import Arrays
from stillhouse.methods.tasks import Task


class ClassMatching(Matching):
    """A `Matching` whose tasks are `ClassMatch` programs, one for each network and part of classes.

    Args:
        settings: of the method.
        problem: what it works on.
    """

    settings: ClassMatchingSettings

    def __init__(self, settings: ClassMatchingSettings, problem: Problem) -> None:
        super().__init__(settings, problem)
        self._classes = problem.dataset.num_classes

    @abc.abstractmethod
    def program(self, classes: tuple[int, ...]) -> ClassMatch:
        """Return what compares the images of some classes."""

    def match(
        self, state: MatchingState, step: int, samples: Sequence[tuple[int, Arrays]]
    ) -> Found:
        """Return the mean distance in several networks, and its gradient by the images.

        Args:
            state: with the images.
            step: whose target batch is compared with them.
            samples: of each network the seed of its weights, or any number and its packed weights.
        """
        x_t, y_t = self.problem.targets.batch(step - 1)
        parts = self.settings.parts(self._classes, len(x_t))
        synthetic, real = (
            [np.concatenate([x[classes == c] for c in part]) for part in parts]
            for x, classes in (
                (state.images, state.labels.argmax(axis=1)),
                (x_t, y_t.argmax(axis=1)),
            )
        )
        tasks = [
            Task(
                self.program(part),
                (x_s, x_r, *weights),
                (np.array([seed, self.number("augment", step, sample)], np.int64),),
            )
            for sample, (seed, weights) in enumerate(samples)
            for part, x_s, x_r in zip(parts, synthetic, real, strict=True)
        ]
        loss, gradient = 0.0, np.zeros(state.images.shape)
        order = np.argsort(state.labels.argmax(axis=1), kind="stable")
        rows = np.split(order, np.cumsum([len(x) for x in synthetic])[:-1]) * len(samples)
        for where, (distances, part_gradient) in zip(
            rows, self.problem.runner.results(tasks), strict=True
        ):
            loss += float(distances.sum())
            gradient[where] += part_gradient
        count = len(samples)
        return Found(loss / count, {"images": (gradient / count).astype(np.float32)})
