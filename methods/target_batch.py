"""How many real images a step learns from: the setting, and what it comes to."""

from typing import Any

import numpy as np

from stillhouse.data.dataset import Dataset
from stillhouse.data.sampling import check_class_balanced
from stillhouse.methods.options import at_least, option


def target_batch_option(usual: str) -> Any:
    """Declare the setting `target_batch`; `usual` says how many there are by default."""
    return option(
        None,
        "real images a step learns from, as many of each class "
        f"(default: {usual}, or all there are)",
        check=at_least(1),
    )


def target_batch_size(asked: int | None, usual: int, dataset: Dataset) -> int:
    """Return how many real images a step has, as many of each class.

    Args:
        asked: what the setting says; None for the usual number.
        usual: this, or as many as the rarest class allows.
        dataset: whose training images they are.

    Raises:
        ValueError: if a class has too few images for the number that is asked for.
    """
    counts = np.bincount(dataset.y_train, minlength=dataset.num_classes)
    if asked is None:
        return min(usual, int(counts.min()) * dataset.num_classes)
    try:
        check_class_balanced(counts, asked)
    except ValueError as error:
        raise ValueError(f"`--target_batch`: {error}") from error
    return asked
