"""Labels and datasets in the classes of a distilled set."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from stillhouse.data.arrays import ArrayLike, as_labels, check_classes, label_array
from stillhouse.data.dataset import Dataset
from stillhouse.data.distilled import DistilledSet


def own_classes(
    distilled: DistilledSet,
    labels: ArrayLike,
    name: str,
    class_names: Sequence[str] | None = None,
) -> np.ndarray:
    """Return labels as the classes of a set, int64 `[n]`, 0 to k - 1.

    Texts are the names of classes, as the card has them. Whole numbers are classes; but where the
    set's classes are called by other numbers (1 to 10), these may be given too.

    Args:
        distilled: the set.
        labels: `[n]`.
        name: what errors call them.
        class_names: what their numbers stand for; None where that is not known.

    Raises:
        ValueError: if they are neither, or might be either.
    """
    k = distilled.num_classes
    known = () if distilled.card is None else distilled.card.dataset.class_names
    array = label_array(labels, name)
    if array.dtype == object and all(isinstance(label, str) for label in array.flat):
        array = array.astype(str)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind != "U":
        array = as_labels(array, name)
        if class_names is not None and set(class_names) == set(known):
            check_classes(array, len(class_names), name)
            array = np.array(class_names)[array]
    if array.dtype.kind == "U":
        unknown = sorted(set(array.ravel().tolist()) - set(known))
        if unknown or array.ndim != 1:
            what = f"{unknown[0]!r} is none" if unknown else f"they have shape {array.shape}"
            raise ValueError(
                f"{name} must be names of the set's classes [n], or 0 to {k - 1}: {what}"
                + (f" of {', '.join(known[:8])}" if unknown and known else "")
            )
        return np.array([known.index(label) for label in array.tolist()], np.int64)
    found = np.unique(array)
    called = [known.index(str(label)) for label in found.tolist() if str(label) in known]
    if len(called) < len(found) or called == found.tolist():
        check_classes(array, k, name)
        return array
    if 0 <= found[0] and found[-1] < k:
        raise ValueError(
            f"{name} might be classes 0 to {k - 1}, or what they are called, {known[0]} to "
            f"{known[-1]}: give the names as texts (`labels.astype(str)`), or images of every class"
        )
    return np.array(called, np.int64)[np.searchsorted(found, array)]


def in_own_order(distilled: DistilledSet, dataset: Dataset) -> Dataset:
    """Return a dataset with its classes in the order of the set's, where they have its names."""
    names = () if distilled.card is None else distilled.card.dataset.class_names
    theirs = dataset.class_names
    if theirs == names or sorted(theirs) != sorted(names) or len(set(names)) < len(names):
        return dataset
    order = np.array([names.index(name) for name in theirs])
    return dataclasses.replace(
        dataset,
        y_train=order[dataset.y_train],
        y_test=order[dataset.y_test],
        class_names=names,
    )
