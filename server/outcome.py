"""What a run ends with, and the files that say so."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from stillhouse.data.card import Card
from stillhouse.data.distilled import DistilledSet, save_distilled
from stillhouse.data.recipes import Recipe
from stillhouse.data.transforms import Transform
from stillhouse.server.run_folder import RunFolder, write_json


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run ends with.

    Attributes:
        images: float32 `[s, h, w, c]`, in the transformed space.
        labels: float32 `[s, k]`.
        scores: what the method measured at the end, "test_accuracy" among it; numbers go into the
            set's card, other JSON values into the result alone.
        steps: how many steps it took.
        seconds: of all processes that worked on it, without what a kill made them do again.
        work: the work units that were computed, by what they are, counted in the same way.
        recipe: how the set is meant to be used, where that was learned too; else None.
    """

    images: np.ndarray
    labels: np.ndarray
    scores: Mapping[str, Any]
    steps: int
    seconds: float
    work: Mapping[str, int]
    recipe: Recipe | None = None


def finish(folder: RunFolder, outcome: Outcome, *, transform: Transform, card: Card) -> None:
    """Write the distilled set, then the result, which marks the run as finished.

    Args:
        folder: the run's folder.
        outcome: what the run ended with.
        transform: of its images.
        card: its provenance; the scores are filled in, and the recipe where it was learned.

    Raises:
        OSError: if a file cannot be written.
    """
    numbers = {n: value for n, value in outcome.scores.items() if isinstance(value, int | float)}
    card = dataclasses.replace(card, scores=numbers, recipe=outcome.recipe or card.recipe)
    distilled = DistilledSet(outcome.images, outcome.labels, transform, card)
    save_distilled(folder.distilled, distilled)
    result = {
        **numbers,
        "steps": outcome.steps,
        "seconds": round(outcome.seconds, 3),
        **{key(unit): count for unit, count in outcome.work.items()},
        "work": dict(outcome.work),
        "support_size": len(outcome.images),
        "method": card.method,
        "dataset": card.dataset.name,
        "computed_by": list(card.computed_by),
        **{name: value for name, value in outcome.scores.items() if name not in numbers},
    }
    write_json(folder.result, result)


def key(unit: str) -> str:
    """Return what a work unit is called in files: `kernel_elements`."""
    return unit.replace(" ", "_")
