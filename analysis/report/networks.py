"""Finite networks trained on the set, and on sets of the same size that nothing was learned for."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from stillhouse.analysis.report.baselines import SupportSet
from stillhouse.analysis.report.krr import Accuracy, TestImages


@dataclasses.dataclass(frozen=True)
class Networks:
    """What networks of one kind learn from each set.

    Attributes:
        network: the network and how it was trained, in words.
        accuracies: by the name of the set, over all seeds and draws; None where all diverged.
        test_images: how many test images were predicted.
        out_of: of how many.
        command: gives the set's own accuracy again.
    """

    network: str
    accuracies: Mapping[str, Accuracy | None]
    test_images: int
    out_of: int
    command: str


def train_on_each(
    sets: Sequence[SupportSet],
    test: TestImages,
    train: Callable[[SupportSet], Sequence[float]],
    *,
    network: str,
    command: str,
) -> Networks:
    """Train on each set, and return what came of it.

    Args:
        sets: the sets; those of equal names are draws.
        test: the images to predict.
        train: trains networks on a set, and gives the accuracies of those that did not diverge.
        network: as of `Networks`, and so is the other.
        command: gives the set's own accuracy again.
    """
    found: dict[str, list[float]] = {one.name: [] for one in sets}
    for one in sets:
        found[one.name].extend(train(one))
    accuracies = {name: Accuracy.of(values) if values else None for name, values in found.items()}
    return Networks(network, accuracies, len(test.images), test.out_of, command)
