"""A labelled image dataset, checked once, so that nothing behind it needs to check again."""

import dataclasses
import functools
import hashlib
from collections.abc import Sequence

import numpy as np

from stillhouse.data.arrays import ArrayLike, as_images, as_labels, check_classes, size_name
from stillhouse.data.card import DatasetInfo
from stillhouse.data.splitting import stratified_split


@dataclasses.dataclass(frozen=True, eq=False)
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

    Raises:
        ValueError: if a split is empty, lengths differ, images differ in size or dtype, a pixel is
            NaN or infinite, a label is no integer or no class, or a class has no train image.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_names", tuple(str(name) for name in self.class_names))
        if self.num_classes < 2:
            raise ValueError(f"a dataset needs two classes at least, got {self.class_names}")
        for split in ("train", "test"):
            x = as_images(getattr(self, f"x_{split}"), f"`x_{split}`")
            y = as_labels(getattr(self, f"y_{split}"), f"`y_{split}`")
            if len(x) != len(y):
                raise ValueError(f"`x_{split}` has {len(x)} images, `y_{split}` {len(y)} labels")
            check_classes(y, self.num_classes, f"`y_{split}`")
            object.__setattr__(self, f"x_{split}", _read_only(x))
            object.__setattr__(self, f"y_{split}", _read_only(y))
        if self.x_test.shape[1:] != self.image_shape:
            raise ValueError(
                f"images must have one size: `x_train` holds {size_name(self.image_shape)}, "
                f"`x_test` {size_name(self.x_test.shape[1:])}"
            )
        if self.x_test.dtype != self.x_train.dtype:
            raise ValueError(
                f"`x_train` is {self.x_train.dtype} and `x_test` {self.x_test.dtype}: give both "
                "splits in the same pixel scale and dtype"
            )
        missing = np.flatnonzero(np.bincount(self.y_train, minlength=self.num_classes) == 0)
        if missing.size:
            raise ValueError(
                f"class {missing[0]} ({self.class_names[missing[0]]!r}) has no train image: labels "
                f"must use every class 0 to {self.num_classes - 1}; renumber them or leave the "
                "class out of the names"
            )

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


def dataset_from_arrays(
    x_train: ArrayLike,
    y_train: ArrayLike,
    x_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    *,
    name: str = "arrays",
    class_names: Sequence[str] | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Make a dataset of arrays.

    Args:
        x_train: images `[n, h, w, c]`, or grey `[n, h, w]`, of integers or floats in any scale.
        y_train: integer labels `[n]` or `[n, 1]`; floats that are whole numbers will do.
        x_test: test images; without them a part of the train images is held out.
        y_test: their labels.
        name: what reports call the dataset.
        class_names: the names of classes 0 to k - 1; by default their numbers, up to the largest
            label.
        test_fraction: the share held out where no test images are given, the same for each class.
        seed: the seed of that split.

    Raises:
        ValueError: as `Dataset`, and if only one of `x_test` and `y_test` is given.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).random((100, 8, 8))
        >>> dataset = dataset_from_arrays(images, np.arange(100) % 10)
        >>> dataset.x_train.shape, dataset.x_test.shape, dataset.num_classes
        ((80, 8, 8, 1), (20, 8, 8, 1), 10)
    """
    if (x_test is None) != (y_test is None):
        raise ValueError("give both `x_test` and `y_test`, or neither")
    images, labels = as_images(x_train, "`x_train`"), as_labels(y_train, "`y_train`")
    if len(images) != len(labels):
        raise ValueError(f"`x_train` has {len(images)} images, `y_train` {len(labels)} labels")
    if x_test is not None and y_test is not None:
        test_images, test_labels = as_images(x_test, "`x_test`"), as_labels(y_test, "`y_test`")
    if class_names is None:
        largest = labels.max() if y_test is None else max(labels.max(), test_labels.max())
        class_names = [str(i) for i in range(int(largest) + 1)]
    if x_test is None:
        check_classes(labels, len(class_names), "`y_train`")
        train, test = stratified_split(labels, test_fraction, seed)
        images, test_images = images[train], images[test]
        labels, test_labels = labels[train], labels[test]
    return Dataset(name, images, labels, test_images, test_labels, tuple(class_names))


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view
