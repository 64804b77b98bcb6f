"""What a run ends with, and the files that say so."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from stillhouse.data.card import Card
from stillhouse.data.distilled import DistilledSet, save_distilled
from stillhouse.data.transforms import Transform
from stillhouse.methods.evaluation import Scores
from stillhouse.server.run_folder import RunFolder, write_json


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run ends with.

    Attributes:
        images: float32 `[s, h, w, c]`, in the space in which the kernel sees them.
        labels: float32 `[s, k]`.
        test: its scores on the test images, by the name of each kernel; the first one's are the
            run's.
        train: its scores on a class-balanced sample of the training images.
        steps: how many steps it took.
        seconds: of all processes that worked on it, without what a kill made them do again.
        kernel_elements: what was computed, counted in the same way.
    """

    images: np.ndarray
    labels: np.ndarray
    test: Mapping[str, Scores]
    train: Scores
    steps: int
    seconds: float
    kernel_elements: int


def finish(folder: RunFolder, outcome: Outcome, *, transform: Transform, card: Card) -> None:
    """Write the distilled set, then the result, which marks the run as finished.

    Args:
        folder: the run's folder.
        outcome: what the run ended with.
        transform: of its images.
        card: its provenance; the scores are filled in.

    Raises:
        OSError: if a file cannot be written.
    """
    test = next(iter(outcome.test.values()))
    scores = {"test_accuracy": test.accuracy, "test_mse": test.mse}
    scores |= {"train_accuracy": outcome.train.accuracy, "train_mse": outcome.train.mse}
    card = dataclasses.replace(card, scores=scores)
    distilled = DistilledSet(outcome.images, outcome.labels, transform, card)
    save_distilled(folder.distilled, distilled)
    result = {
        **scores,
        "steps": outcome.steps,
        "seconds": round(outcome.seconds, 3),
        "kernel_elements": outcome.kernel_elements,
        "support_size": len(outcome.images),
        "method": card.method,
        "dataset": card.dataset.name,
        "test_by_kernel": {name: dataclasses.asdict(s) for name, s in outcome.test.items()},
    }
    write_json(folder.result, result)
