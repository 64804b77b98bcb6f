"""How a run scores a set that is meant for ordinary training: networks trained on it, as tasks."""

import dataclasses

import numpy as np

from stillhouse.data.dataset import Dataset
from stillhouse.data.recipes import Recipe
from stillhouse.data.transforms import Transform
from stillhouse.methods.programs import FollowRecipe
from stillhouse.methods.scores import ACCURACY, mean_scores
from stillhouse.methods.tasks import Task, TaskRunner


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingScoring:
    """Scores a set by networks that are trained on it, each a task.

    Attributes:
        runner: computes the tasks.
        dataset: whose test images are predicted.
        transform: brings them into the set's space.
        networks: how many are trained.
        seed: of the first one; those of the others follow it.
    """

    runner: TaskRunner
    dataset: Dataset
    transform: Transform
    networks: int
    seed: int = 0

    def test(self, recipe: Recipe, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Return "test_accuracy", the mean over the networks, and its deviation if several.

        Args:
            recipe: of ordinary training.
            images: those of the set, `[s, h, w, c]`.
            labels: their labels, `[s, k]`.
        """
        program, arrays = FollowRecipe.of(recipe, self.transform)
        tests = (self.dataset.x_test, self.dataset.y_test)
        shared = (images, labels, *tests, *arrays.values())
        tasks = [
            Task(program, shared, (np.array([self.seed + number], np.int64),))
            for number in range(self.networks)
        ]
        results = self.runner.results(tasks)
        return mean_scores([{ACCURACY: float(accuracy[0])} for (accuracy,) in results])
