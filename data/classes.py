"""Labels as people have them, to classes 0 to k - 1 and their names."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from stillhouse.data.arrays import MOST_CLASSES, ArrayLike, as_labels, label_array


@dataclasses.dataclass(frozen=True, eq=False)
class Classes:
    """Labels of one or two splits, numbered alike.

    Attributes:
        labels: int64 `[n]` for each split, classes 0 to k - 1.
        names: the k names.
        note: what was done to the labels, None where nothing was.
    """

    labels: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    note: str | None = None


def number_classes(
    splits: Sequence[tuple[ArrayLike, str]], names: Sequence[str] | None = None
) -> Classes:
    """Number the classes of all splits together.

    Texts are classes by name, in alphabetical order or in that of `names`. Whole numbers are
    themselves where `names` are given or they are 0 to k - 1; others (1 to k, or with gaps) are
    numbered anew in their order, and keep their old number as their name.

    Args:
        splits: the labels of each, and what errors call them.
        names: of the classes.

    Raises:
        ValueError: if labels are neither texts nor whole numbers, mixed, of more than 65,536
            classes, or not among `names`.
    """
    arrays = [(_flat(labels, name), name) for labels, name in splits]
    texts = [array.dtype.kind == "U" for array, _ in arrays]
    if any(texts) and not all(texts):
        kinds = " and ".join(f"{name} is {array.dtype}" for array, name in arrays)
        raise ValueError(f"labels must be texts in all splits or in none: {kinds}")
    if not any(texts):
        arrays = [(as_labels(array, name), name) for array, name in arrays]
        if names is not None:
            return Classes(tuple(array for array, _ in arrays), tuple(map(str, names)))
    found = np.unique(np.concatenate([array for array, _ in arrays]))
    if len(found) > MOST_CLASSES:
        raise ValueError(f"{len(found):,} different labels are more than a dataset has classes")
    order = found if names is None else np.array([str(name) for name in names])
    if any(texts) and names is not None:
        unknown = found[~np.isin(found, order)]
        if unknown.size:
            raise ValueError(
                f"the label {str(unknown[0])!r} is none of the class names "
                f"{', '.join(order[:8].tolist())}"
            )
    by_label = {label: i for i, label in enumerate(order.tolist())}
    numbers = tuple(
        np.fromiter(map(by_label.__getitem__, array.tolist()), np.int64, len(array))
        for array, _ in arrays
    )
    renumbered = not any(texts) and not np.array_equal(found, np.arange(len(found)))
    note = _note(found) if renumbered else None
    return Classes(numbers, tuple(map(str, order.tolist())), note)


def _flat(labels: ArrayLike, name: str) -> np.ndarray:
    array = label_array(labels, name)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.dtype == object and all(isinstance(label, str) for label in array.flat):
        array = array.astype(str)
    if array.dtype.kind == "U":
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1:
            raise ValueError(f"{name} must be [n] or [n, 1], got shape {array.shape}")
    return array


def _note(found: np.ndarray) -> str:
    values = found.tolist()
    first, last = values[0], values[-1]
    if last - first == len(values) - 1:
        shown = f"{first} to {last}"
    else:
        shown = ", ".join(map(str, values[:5])) + (f", ... {last}" if len(values) > 5 else "")
    return f"the labels {shown} are numbered 0 to {len(values) - 1}, in this order"
