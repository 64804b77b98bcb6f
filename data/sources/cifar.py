"""CIFAR-10 and CIFAR-100 as their author gives them: binary files, and Python batches.

References:
    Krizhevsky. Learning Multiple Layers of Features from Tiny Images. 2009,
    https://www.cs.toronto.edu/~kriz/cifar.html
"""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from stillhouse.data.archive import listed
from stillhouse.data.dataset import Dataset, dataset_from_arrays
from stillhouse.data.sources.naming import naming, source_name
from stillhouse.data.sources.pickles import read_pickle

_PIXELS = 3 * 32 * 32


@dataclasses.dataclass(frozen=True)
class _Layout:
    """How one of the four archives is laid out.

    Attributes:
        train: the files of the train split; those that are missing are noticed.
        test: the file of the test split.
        names: the file of the class names.
        labels: for binary files, how many labels stand before an image; the last is the class.
        keys: for Python batches, where labels and class names stand.
    """

    train: tuple[str, ...]
    test: str
    names: str
    labels: int = 0
    keys: tuple[str, str] = ("", "")


_TEN = tuple(f"data_batch_{i}" for i in range(1, 6))
_LAYOUTS = (
    _Layout(tuple(f"{name}.bin" for name in _TEN), "test_batch.bin", "batches.meta.txt", labels=1),
    _Layout(("train.bin",), "test.bin", "fine_label_names.txt", labels=2),
    _Layout(_TEN, "test_batch", "batches.meta", keys=("labels", "label_names")),
    _Layout(("train",), "test", "meta", keys=("fine_labels", "fine_label_names")),
)


def has_cifar(folder: pathlib.Path) -> bool:
    """Return whether a folder holds CIFAR's binary files or Python batches."""
    return _layout(folder) is not None


def load_cifar(folder: pathlib.Path) -> Dataset:
    """Read CIFAR-10 or CIFAR-100 (its 100 classes) from the folder of their archive.

    Binary files are `data_batch_1.bin` to `5`, `test_batch.bin` and `batches.meta.txt`, or
    `train.bin`, `test.bin` and `fine_label_names.txt`; Python batches are the same without `.bin`,
    and `batches.meta` or `meta`. These are pickles: they are read by an unpickler that knows NumPy
    arrays and nothing else.

    Args:
        folder: such as `cifar-10-batches-py` or `cifar-100-binary`.

    Raises:
        ValueError: naming the file, if one is missing, damaged, or holds something else.
        OSError: if a file cannot be read.
    """
    layout = _layout(folder)
    if layout is None:
        raise ValueError(f"{folder}: no files of CIFAR")
    missing = [name for name in (*layout.train, layout.test) if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder}: the file {missing[0]} is missing beside {layout.train[0]}")
    parts = [_read(folder / name, layout) for name in (*layout.train, layout.test)]
    images = [x for x, _ in parts]
    labels = [y for _, y in parts]
    with naming(folder):
        return dataset_from_arrays(
            np.concatenate(images[:-1]),
            np.concatenate(labels[:-1]),
            images[-1],
            labels[-1],
            name=source_name(folder),
            class_names=_class_names(folder / layout.names, layout),
        )


def _layout(folder: pathlib.Path) -> _Layout | None:
    for layout in _LAYOUTS:
        if (folder / layout.train[0]).is_file() and (folder / layout.test).is_file():
            return layout
    return None


def _read(path: pathlib.Path, layout: _Layout) -> tuple[np.ndarray, np.ndarray]:
    with naming(path):
        if layout.labels:
            data = np.frombuffer(path.read_bytes(), np.uint8)
            record = layout.labels + _PIXELS
            if not data.size or data.size % record:
                raise ValueError(
                    f"{data.size:,} bytes are no whole number of records of {record:,}: the file "
                    "is damaged, or none of CIFAR"
                )
            records = data.reshape(-1, record)
            return _images(records[:, layout.labels :]), records[:, layout.labels - 1]
        batch = _dict(path)
        x, y = batch.get("data"), batch.get(layout.keys[0])
        if not isinstance(x, np.ndarray) or x.dtype != np.uint8 or x.shape[1:] != (_PIXELS,):
            raise ValueError(f"no uint8 array `data` [n, {_PIXELS}], found {listed(batch)}")
        if not isinstance(y, list) or not all(type(label) is int for label in y):
            raise ValueError(f"no list of numbers `{layout.keys[0]}`, found {listed(batch)}")
        return _images(x), np.array(y)


def _images(rows: np.ndarray) -> np.ndarray:
    """Return `[n, 32, 32, 3]`: a row has all of red, then green, then blue."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _class_names(path: pathlib.Path, layout: _Layout) -> list[str] | None:
    """Return the class names, None where the file of them is missing."""
    if not path.is_file():
        return None
    with naming(path):
        if layout.labels:
            return [line.strip() for line in path.read_text().splitlines() if line.strip()]
        names = _dict(path).get(layout.keys[1])
        if not isinstance(names, list):
            raise ValueError(f"no list `{layout.keys[1]}`")
        return [_text(name) for name in names]


def _dict(path: pathlib.Path) -> dict[str, Any]:
    content = read_pickle(path.read_bytes())
    if not isinstance(content, dict):
        raise ValueError("not a batch of CIFAR: its pickle is no dict")
    return {_text(key): value for key, value in content.items()}


def _text(key: Any) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)
