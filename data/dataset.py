"""A labelled image dataset, checked once, so that nothing behind it needs to check again."""

import dataclasses
import functools
import hashlib
from collections.abc import Sequence

import numpy as np

from stillhouse.data.arguments import check_arguments, of_hint
from stillhouse.data.arrays import (
    ArrayLike,
    as_image_splits,
    as_images,
    as_labels,
    check_classes,
    size_name,
)
from stillhouse.data.card import DatasetInfo
from stillhouse.data.classes import number_classes
from stillhouse.data.printing import printable
from stillhouse.data.splitting import check_fraction, stratified_split

# A note that whoever learns of such images should see.
FLAT = (
    "each train image is of one colour throughout: the classes differ in it alone, and nothing is "
    "left of it where each image's mean is taken away (zca)"
)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Raw images and integer labels, split into train and test.

    The arrays are read-only views; nothing is copied that has the right form already.

    Attributes:
        name: what reports call it.
        x_train: uint8 or float32 `[n, h, w, c]`, raw pixels.
        y_train: int64 `[n]`, classes 0 to k - 1, each of them at least once.
        x_test: as `x_train`, of the same image shape and dtype.
        y_test: int64, classes 0 to k - 1.
        class_names: the k names.
        notes: what was done to the data as they were read, and what is odd about them, a sentence
            each.

    Raises:
        ValueError: if a split is empty, lengths differ, images differ in size, dtype or scale, a
            pixel is NaN or infinite, a label is no integer or no class, a class has no train image,
            or all train images are the same.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        texts = {"name": str, "class_names": Sequence[str], "notes": Sequence[str]}
        for field, hint in texts.items():
            object.__setattr__(self, field, of_hint(f"`{field}`", getattr(self, field), hint))
        object.__setattr__(self, "name", printable(self.name))
        names = tuple(printable(str(name)) for name in self.class_names)
        object.__setattr__(self, "class_names", names)
        if self.num_classes < 2:
            raise ValueError(f"a dataset needs two classes at least, got {self.class_names}")
        splits = as_image_splits(self.x_train, self.x_test, ("`x_train`", "`x_test`"))
        for split, x in zip(("train", "test"), splits, strict=True):
            y = as_labels(getattr(self, f"y_{split}"), f"`y_{split}`")
            _check_lengths(x, y, f"`x_{split}`", f"`y_{split}`")
            check_classes(y, self.num_classes, f"`y_{split}`")
            object.__setattr__(self, f"x_{split}", _read_only(x))
            object.__setattr__(self, f"y_{split}", _read_only(y))
        missing = np.flatnonzero(np.bincount(self.y_train, minlength=self.num_classes) == 0)
        if missing.size:
            raise ValueError(
                f"class {missing[0]} ({self.class_names[missing[0]]!r}) has no train image: labels "
                f"must use every class 0 to {self.num_classes - 1}; renumber them or leave the "
                "class out of the names"
            )
        if all(np.array_equal(image, self.x_train[0]) for image in self.x_train[1:]):
            raise ValueError("all train images are the same: there is nothing to learn")
        if FLAT not in self.notes and all(_is_flat(image) for image in self.x_train):
            object.__setattr__(self, "notes", (*self.notes, FLAT))

    def __repr__(self) -> str:
        shown = ", ".join(self.class_names[:10]) + (", ..." if self.num_classes > 10 else "")
        low, high = self.pixel_range
        lines = [
            f"Dataset {self.name}: {len(self.x_train):,} train and {len(self.x_test):,} test "
            f"images of {size_name(self.image_shape)}",
            f"{self.x_train.dtype} from {low:g} to {high:g}",
            f"{self.num_classes} classes: {shown}",
            *self.notes,
        ]
        return "\n  ".join(lines)

    @property
    def num_classes(self) -> int:
        """The number of classes k."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        h, w, c = self.x_train.shape[1:]
        return h, w, c

    @property
    def pixel_range(self) -> tuple[float, float]:
        """The smallest and the largest raw pixel value of the train images."""
        return float(self.x_train.min()), float(self.x_train.max())

    def fingerprint(self) -> str:
        """Return the SHA-256 of shapes, dtypes and bytes, in hex; about 0.3 s for CIFAR-10.

        It is the same on every machine for the same arrays. JPEG files can decode to slightly
        different arrays under different versions of Pillow.
        """
        return self._fingerprint

    @functools.cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            digest.update(f"{array.dtype.name}{array.shape}".encode())
            digest.update(little.data)
        return digest.hexdigest()

    def info(self) -> DatasetInfo:
        """Return what the card of a distilled set remembers of this dataset."""
        return DatasetInfo(
            self.name, self.fingerprint(), self.class_names, self.image_shape, self.pixel_range
        )


@check_arguments
def dataset_from_arrays(
    x_train: ArrayLike,
    y_train: ArrayLike,
    x_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    *,
    name: str = "arrays",
    class_names: Sequence[str] | None = None,
    test_fraction: float | None = None,
    seed: int = 0,
    notes: Sequence[str] = (),
    argument_names: Sequence[str] = ("`x_train`", "`y_train`", "`x_test`", "`y_test`"),
) -> Dataset:
    """Make a dataset of arrays.

    Args:
        x_train: images `[n, h, w, c]`, or grey `[n, h, w]`, of integers or floats in any scale.
        y_train: labels `[n]` or `[n, 1]`: integers, floats that are whole numbers, or texts. What
            is not 0 to k - 1 is numbered anew, and `notes` of the dataset say so.
        x_test: test images; without them a part of the train images is held out.
        y_test: their labels.
        name: what reports call the dataset.
        class_names: the names of classes 0 to k - 1; by default the labels themselves.
        test_fraction: the share held out where no test images are given, the same for each class;
            by default 0.2.
        seed: the seed of that split.
        notes: what was done to the data before.
        argument_names: what errors call the arrays.

    Raises:
        ValueError: as `Dataset`, if only one of `x_test` and `y_test` is given, if an argument is
            of a wrong type, or if `test_fraction` is given beside test images.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).random((100, 8, 8))
        >>> dataset = dataset_from_arrays(images, np.arange(100) % 10)
        >>> dataset.x_train.shape, dataset.x_test.shape, dataset.num_classes
        ((80, 8, 8, 1), (20, 8, 8, 1), 10)
    """
    if (x_test is None) != (y_test is None):
        raise ValueError("give both `x_test` and `y_test`, or neither")
    check_fraction(test_fraction, has_test=x_test is not None)
    x_name, y_name, x_test_name, y_test_name = argument_names
    splits = [(y_train, y_name)]
    if x_test is None or y_test is None:
        images = as_images(x_train, x_name)
    else:
        images, test_images = as_image_splits(x_train, x_test, (x_name, x_test_name))
        splits.append((y_test, y_test_name))
    classes = number_classes(splits, class_names)
    labels = classes.labels[0]
    _check_lengths(images, labels, x_name, y_name)
    if x_test is None:
        check_classes(labels, len(classes.names), y_name)
        train, test = stratified_split(labels, test_fraction, seed)
        images, test_images = images[train], images[test]
        labels, test_labels = labels[train], labels[test]
    else:
        test_labels = classes.labels[1]
        _check_lengths(test_images, test_labels, x_test_name, y_test_name)
    notes = (*notes, *([] if classes.note is None else [classes.note]))
    return Dataset(name, images, labels, test_images, test_labels, classes.names, tuple(notes))


def _is_flat(image: np.ndarray) -> bool:
    return bool((image == image[:1, :1]).all())


def _check_lengths(images: np.ndarray, labels: np.ndarray, x_name: str, y_name: str) -> None:
    if len(images) != len(labels):
        raise ValueError(f"{x_name} has {len(images)} images, {y_name} {len(labels)} labels")


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view
