"""The names of what networks reach that follow a set's recipe, and their means."""

from collections.abc import Sequence

import numpy as np

ACCURACY, BEFORE = "test_accuracy", "test_accuracy_before"
ATTACKED, ATTACKED_BEFORE = "attacked_as_target", "attacked_as_target_before"
OTHERS, OTHERS_BEFORE = "other_accuracy", "other_accuracy_before"


def mean_scores(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each score over networks, and of the accuracy the deviation too."""
    means = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    if len(found) > 1:
        for name in (ACCURACY, ATTACKED):
            if name in means:
                means[f"{name}_deviation"] = float(np.std([one[name] for one in found], ddof=1))
    return means
