"""What came of training networks."""

import dataclasses
import json
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class CurvePoint:
    """A network in the midst of its training.

    Attributes:
        step: steps taken.
        loss: of the batch of the last of them, before it; without L2.
        train_accuracy: on that batch; at the end, on the whole training set.
        test_accuracy: on the test images; None where they were not predicted.
    """

    step: int
    loss: float
    train_accuracy: float
    test_accuracy: float | None = None


@dataclasses.dataclass(frozen=True)
class SeedResult:
    """What came of one network.

    Attributes:
        seed: of its parameters and of the order of batches.
        learning_rate: at the first step.
        test_accuracy: at the end, the share of test images predicted rightly; None if it diverged.
        diverged_at: the step at which its loss was NaN or infinite, from 1; None if at none.
        seconds: that training and evaluation took.
        curve: about a hundred points, the last one at the end.
    """

    seed: int
    learning_rate: float
    test_accuracy: float | None
    diverged_at: int | None
    seconds: float
    curve: tuple[CurvePoint, ...]


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """What came of training networks that differ in their seeds; one at least came to the end.

    Attributes:
        runs: one for each seed, in order.
        num_parameters: of one network.
        train_images: how many images they were trained on.
        test_images: how many images they predicted.
    """

    runs: tuple[SeedResult, ...]
    num_parameters: int
    train_images: int
    test_images: int

    @property
    def test_accuracies(self) -> tuple[float, ...]:
        """Those of the seeds that came to the end."""
        found = (run.test_accuracy for run in self.runs)
        return tuple(accuracy for accuracy in found if accuracy is not None)

    @property
    def mean(self) -> float:
        """The mean test accuracy."""
        return float(np.mean(self.test_accuracies))

    @property
    def std(self) -> float:
        """The sample standard deviation of the test accuracy (n - 1); 0 for one seed."""
        accuracies = self.test_accuracies
        return float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else 0.0

    @property
    def learning_rates(self) -> tuple[float, ...]:
        """The learning rate of each seed."""
        return tuple(run.learning_rate for run in self.runs)

    @property
    def diverged(self) -> tuple[SeedResult, ...]:
        """The seeds whose loss became NaN or infinite."""
        return tuple(run for run in self.runs if run.diverged_at is not None)

    @property
    def curves(self) -> tuple[tuple[CurvePoint, ...], ...]:
        """The curve of each seed."""
        return tuple(run.curve for run in self.runs)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as what JSON has."""
        return {
            "test_accuracy": self.mean,
            "test_accuracy_std": self.std,
            "test_accuracies": list(self.test_accuracies),
            "learning_rates": list(self.learning_rates),
            "diverged_seeds": [run.seed for run in self.diverged],
            "num_parameters": self.num_parameters,
            "train_images": self.train_images,
            "test_images": self.test_images,
            "runs": [dataclasses.asdict(run) for run in self.runs],
        }

    def to_json(self) -> str:
        """Return `to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(), allow_nan=False)
