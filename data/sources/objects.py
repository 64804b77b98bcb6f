"""Datasets of other libraries, as objects: Hugging Face's `datasets`, and PyTorch's.

Neither library is imported here. Who has such an object has imported its library.
"""

import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stillhouse.data.archive import listed
from stillhouse.data.arguments import check_arguments, shown
from stillhouse.data.arrays import ArrayLike
from stillhouse.data.dataset import Dataset, dataset_from_arrays
from stillhouse.data.limits import check_memory
from stillhouse.data.sources.decoding import (
    ImageStack,
    check_image_size,
    decoding_pool,
    join_splits,
    other_sizes,
    resize_image,
)
from stillhouse.data.sources.naming import chosen_column, resized_note
from stillhouse.data.sources.parquet import IMAGE_COLUMNS, LABEL_COLUMNS

_BATCH = 1024  # rows of a Hugging Face dataset at a time


@check_arguments
def dataset_from(
    train: Any,
    test: Any = None,
    *,
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    test_fraction: float | None = None,
    seed: int = 0,
    image_size: tuple[int, int] | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    argument_names: Sequence[str] | None = None,
) -> Dataset:
    """Make a dataset of what other libraries have.

    Args:
        train: one of

            - a `datasets.Dataset`, or a `datasets.DatasetDict` whose splits `train`, and `test` or
              `validation`, are taken;
            - a PyTorch dataset with items of an image and a label; an image is a tensor
              `[c, h, w]` or `[h, w]`, an array `[h, w, c]` or `[h, w]`, or a picture of Pillow;
            - a pair of arrays, images and labels;
            - a `Dataset` of this package, which is returned.
        test: the test images, in any of these forms; without them a part of `train` is held out.
        name: what reports call the dataset.
        class_names: the names of the classes; None for those that the object has.
        test_fraction: the share held out where there are no test images, by default 0.2.
        seed: the seed of that split.
        image_size: height and width to which images are resized; None if they have one size.
        image_column: of a Hugging Face dataset; None for `image` or `img`.
        label_column: of a Hugging Face dataset; None for `label`, `labels` or `fine_label`.
        argument_names: what errors call the arrays; None for such as `train[0]`.

    Raises:
        ValueError: if it is none of these, a setting has no meaning for it, or as
            `dataset_from_arrays`.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (20, 4, 4), dtype=np.uint8)
        >>> dataset_from((images, np.arange(20) % 2)).image_shape
        (4, 4, 1)
    """
    if isinstance(train, Dataset):
        settings = {
            "test": test,
            "name": name,
            "class_names": class_names,
            "test_fraction": test_fraction,
            "image_size": image_size,
            "image_column": image_column,
            "label_column": label_column,
        }
        _refuse(settings, "a Dataset, which has it already")
        return train
    if isinstance(train, Mapping) and is_dataset(train):
        splits = dict(train)
        if "train" not in splits:
            raise ValueError(f"a DatasetDict without the split `train`, found {listed(splits)}")
        train = splits["train"]
        if test is None:
            test = next((splits[key] for key in ("test", "validation") if key in splits), None)
    check_image_size(image_size)
    reader = _Reader(image_size, image_column, label_column)
    x_train, y_train, *names = reader.arrays(train, "train")
    x_test, y_test = None, None
    if test is not None:
        x_test, y_test, *more = reader.arrays(test, "test")
        names += more
        if reader.encoded == 2:
            x_train, x_test = join_splits(
                np.asarray(x_train), np.asarray(x_test), (names[0], names[2])
            )
    return dataset_from_arrays(
        x_train,
        y_train,
        x_test,
        y_test,
        name=name or reader.name or "arrays",
        class_names=class_names if class_names is not None else reader.class_names,
        test_fraction=test_fraction,
        seed=seed,
        argument_names=argument_names or (*names, "", "")[:4],
        notes=resized_note(reader.resized, image_size),
    )


def _refuse(settings: Mapping[str, Any], what: str) -> None:
    """Refuse the first setting that is given."""
    for setting, value in settings.items():
        if value is not None:
            raise ValueError(f"`{setting}` has no meaning for {what}; drop it")


def is_dataset(value: Any) -> bool:
    """Return whether a value is a dataset of one of these libraries, or of this package."""
    return isinstance(value, Dataset) or _is_hugging_face(value) or _is_torch(value)


def is_one_split(value: Any) -> bool:
    """Return whether a value is a dataset of another library, without splits in it."""
    return not isinstance(value, Mapping) and (_is_hugging_face(value) or _is_torch(value))


def read_split(
    source: Any, name: str
) -> tuple[ArrayLike, ArrayLike, str, str, Sequence[str] | None]:
    """Return images and labels of one split, what errors call the two, and the class names.

    Args:
        source: as for `dataset_from`.
        name: what errors call it.

    Raises:
        ValueError: as `dataset_from`.
    """
    reader = _Reader(None, None, None)
    return *reader.arrays(source, name), reader.class_names


def _is_hugging_face(value: Any) -> bool:
    library = sys.modules.get("datasets")
    kinds = tuple(
        kind
        for kind in (getattr(library, name, None) for name in ("Dataset", "DatasetDict"))
        if isinstance(kind, type)
    )
    return isinstance(value, kinds)


def _is_torch(value: Any) -> bool:
    library = sys.modules.get("torch.utils.data")
    kind = getattr(library, "Dataset", None)
    return isinstance(kind, type) and isinstance(value, kind)


class _Reader:
    """Reads splits, and remembers what the first one says of itself."""

    def __init__(
        self, size: tuple[int, int] | None, image_column: str | None, label_column: str | None
    ) -> None:
        self.name: str | None = None
        self.class_names: list[str] | None = None
        self.resized = 0
        self.encoded = 0  # Splits of encoded images.
        self._size = size
        self._columns = (image_column, label_column)

    def arrays(self, source: Any, what: str) -> tuple[ArrayLike, ArrayLike, str, str]:
        """Return images and labels, and what errors call the two."""
        if _is_hugging_face(source):
            return self._hugging_face(source, what)
        columns = {"image_column": self._columns[0], "label_column": self._columns[1]}
        if _is_torch(source):
            _refuse(columns, "a PyTorch dataset")
            images, labels = self._torch(source, f"`{what}`")
            return images, labels, f"images of `{what}`", f"labels of `{what}`"
        _refuse({**columns, "image_size": self._size}, "arrays")
        if isinstance(source, Dataset):
            return source.x_train, source.y_train, f"`{what}.x_train`", f"`{what}.y_train`"
        if isinstance(source, tuple | list) and len(source) == 2:
            return source[0], source[1], f"`{what}[0]`", f"`{what}[1]`"
        if type(source).__name__.startswith("Iterable") and hasattr(source, "take"):
            raise ValueError(
                f"`{what}` is a stream; load the dataset whole, without `streaming=True`"
            )
        raise ValueError(
            f"`{what}` must be a Hugging Face or PyTorch dataset, or a pair of images and labels, "
            f"got {shown(source)}"
        )

    def _hugging_face(self, source: Any, what: str) -> tuple[ArrayLike, ArrayLike, str, str]:
        datasets: Any = sys.modules["datasets"]
        image, label = (
            chosen_column(source.column_names, option, asked, usual)
            for option, asked, usual in (
                ("image_column", self._columns[0], IMAGE_COLUMNS),
                ("label_column", self._columns[1], LABEL_COLUMNS),
            )
        )
        called = (f"column `{image}` of `{what}`", f"column `{label}` of `{what}`")
        features = source.features
        names = getattr(features[label], "names", None)
        if self.class_names is None and names:
            self.class_names = [str(name) for name in names]
        if self.name is None:
            self.name = getattr(source.info, "dataset_name", None)
        source = source.select_columns([image, label])
        labels = np.asarray(source.with_format(None)[label][:])
        if not isinstance(features[image], datasets.Image):
            _refuse({"image_size": self._size}, "a column of arrays")
            # Said by the type of the column; the values come as whatever holds any integer.
            dtype = getattr(features[image], "dtype", None)
            images = np.asarray(source.with_format("numpy")[image][:], dtype)
            return images, labels, *called
        stack = ImageStack(len(source), size=self._size)
        encoded = source.cast_column(image, datasets.Image(decode=False)).with_format(None)
        with decoding_pool() as pool:
            for start in range(0, len(encoded), _BATCH):
                rows = encoded[start : start + _BATCH][image]
                # Bytes, or the path of a file that is there already.
                files = [row["bytes"] or _path(row["path"]) for row in rows]
                stack.extend(files, pool)
        self.resized += stack.resized
        self.encoded += 1
        return stack.images(), labels, *called

    def _torch(self, source: Any, what: str) -> tuple[ArrayLike, ArrayLike]:
        whole = source
        while type(whole).__name__ == "Subset" and hasattr(whole, "dataset"):
            whole = whole.dataset  # Which knows what the part is of.
        names = getattr(whole, "classes", None)
        if self.class_names is None and isinstance(names, list | tuple):
            self.class_names = [str(name) for name in names]
        if self.name is None and type(whole).__name__ != "TensorDataset":
            self.name = type(whole).__name__
        # Not by the iterator alone: those that count from zero for ever have a length.
        items = (source[i] for i in range(len(source))) if hasattr(source, "__len__") else source
        if self._size is not None and hasattr(source, "__len__"):
            check_memory(len(source) * self._size[0] * self._size[1] * 3)
        images, labels = [], []
        for i, item in enumerate(items):
            if not isinstance(item, tuple | list) or len(item) < 2:
                raise ValueError(f"item {i} of {what} must be an image and a label")
            images.append(self._picture(item[0]))
            labels.append(_label(item[1], f"item {i} of {what}"))
            if images[-1].dtype == np.uint8 and images[-1].shape[:2] != images[0].shape[:2]:
                pair = ((f"item {j} of {what}", images[j].shape) for j in (i, 0))
                raise ValueError(other_sizes(*pair))
        return images, labels

    def _picture(self, image: Any) -> np.ndarray:
        is_tensor = type(image).__module__.startswith("torch")
        array = image.detach().cpu().numpy() if is_tensor else np.asarray(image)
        if is_tensor and array.ndim == 3:
            array = array.transpose(1, 2, 0)
        if self._size is not None and array.shape[:2] != self._size:
            if array.dtype != np.uint8:
                raise ValueError("`image_size` resizes images of uint8; resize these beforehand")
            self.resized += 1
            return resize_image(array if array.ndim == 3 else array[..., np.newaxis], self._size)
        return array


def _label(label: Any, name: str) -> Any:
    if isinstance(label, str):
        return label
    array = np.asarray(label)
    if array.size != 1:
        raise ValueError(f"{name}: its label must be one class, got shape {array.shape}")
    return array.item()


def _path(path: str | None) -> pathlib.Path | None:
    return None if path is None else pathlib.Path(path)
