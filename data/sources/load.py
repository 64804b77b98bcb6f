"""One name or path to a dataset."""

import os
import pathlib
from collections.abc import Callable
from typing import Any

from stillhouse.data.arguments import check_arguments
from stillhouse.data.dataset import Dataset
from stillhouse.data.paths import nearest_path
from stillhouse.data.sources.cifar import has_cifar, load_cifar
from stillhouse.data.sources.decoding import check_image_size
from stillhouse.data.sources.digits import load_digits
from stillhouse.data.sources.idx import has_idx, load_idx
from stillhouse.data.sources.image_folder import has_image_folder, load_image_folder
from stillhouse.data.sources.naming import naming
from stillhouse.data.sources.npz import load_npz
from stillhouse.data.sources.parquet import has_parquet, load_parquet

_NAMES = ("digits",)
LAYOUTS = (
    "a folder of Parquet files (train-*.parquet), of IDX files (train-images-idx3-ubyte), of "
    "images (train/CLASS/*.png or CLASS/*.png) or of CIFAR's files (data_batch_1), or a .npz file "
    "with `images` and `labels`, `x_train` and `y_train`, or `train_images` and `train_labels` as "
    "MedMNIST has them"
)

_SPLIT = ("test_fraction", "seed")
# What a folder holds, how that is noticed, who reads it, and which options it takes.
_FOLDERS: tuple[
    tuple[str, Callable[[pathlib.Path], bool], Callable[..., Dataset], tuple[str, ...]], ...
] = (
    (
        "Parquet files",
        has_parquet,
        load_parquet,
        (*_SPLIT, "image_size", "image_column", "label_column", "split", "max_bytes"),
    ),
    ("IDX files", has_idx, load_idx, (*_SPLIT, "max_bytes")),
    ("CIFAR's files", has_cifar, load_cifar, ()),
    (
        "image files",
        has_image_folder,
        load_image_folder,
        (*_SPLIT, "image_size", "split", "max_bytes"),
    ),
)


@check_arguments
def load_dataset(
    source: str | os.PathLike[str],
    *,
    test_fraction: float | None = None,
    seed: int = 0,
    image_size: tuple[int, int] | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    split: str | None = None,
    max_bytes: int | None = None,
) -> Dataset:
    """Load a dataset by its name or path.

    Args:
        source: `digits`, or the path of a `.npz` file, or of a folder of Parquet files, IDX files,
            images, or files of CIFAR; docs/your-data.md shows each. Of a folder without any of
            these, its subfolder `data` is taken, or the only one that has some.
        test_fraction: the share held out where the source has no test images, by default 0.2.
        seed: the seed of that split.
        image_size: height and width to which encoded images are resized.
        image_column: the column of images, of Parquet files.
        label_column: the column of labels, of Parquet files.
        split: which files or folder the train images are in, in place of `train`; behind a comma
            those of the test images.
        max_bytes: what the images may take; None for the rule of `data/limits.py`.

    Raises:
        ValueError: if the name is unknown, the files are damaged or no dataset, or an option has no
            meaning for them.
        OSError: if the path does not exist or cannot be read.
    """
    source = os.fspath(source)
    check_image_size(image_size)
    options: dict[str, Any] = {
        "test_fraction": test_fraction,
        "seed": seed,
        "image_size": image_size,
        "image_column": image_column,
        "label_column": label_column,
        "split": split,
        "max_bytes": max_bytes,
    }
    if not source:
        raise ValueError(f"`source` is empty: give {', '.join(_NAMES)}, or the path of {LAYOUTS}")
    if source == "digits":
        return load_digits(**_taken(options, _SPLIT, "digits"))
    path = pathlib.Path(os.path.abspath(os.path.expanduser(source)))
    if not path.exists():
        raise _not_found(source, path)
    if path.is_dir():
        folder = path if _kind_of(path) else _inside(path)
        found = _kind_of(folder) if folder is not None else None
        if found is None or folder is None:
            raise ValueError(f"{path}: no dataset in this folder, expected {LAYOUTS}")
        what, _, load, taken = found
        with naming(path):
            asked = _taken(options, taken, f"a folder of {what}")
        return load(folder, **asked)
    if path.suffix == ".npz":
        return load_npz(path, **_taken(options, (*_SPLIT, "max_bytes"), "a .npz file"))
    if _kind_of(path.parent):
        raise ValueError(f"{path}: give the folder that holds the files, {path.parent}")
    raise ValueError(f"{path}: not a dataset, expected {LAYOUTS}")


def _kind_of(folder: pathlib.Path) -> Any:
    return next((kind for kind in _FOLDERS if kind[1](folder)), None)


def _inside(path: pathlib.Path) -> pathlib.Path | None:
    """Return the folder below that holds the dataset, as a repository of the hub has it."""
    folders = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    found = [p for p in folders if _kind_of(p)]
    named = [p for p in found if p.name == "data"] or found
    if len(named) > 1:
        hint = ", ".join(str(p) for p in named[:4])
        raise ValueError(f"{path}: several datasets in this folder; name one of {hint}")
    return named[0] if named else None


def _taken(options: dict[str, Any], names: tuple[str, ...], what: str) -> dict[str, Any]:
    for name, value in options.items():
        if name not in names and name not in ("seed", "max_bytes") and value is not None:
            raise ValueError(f"`{name}` has no meaning for {what}")
    return {name: options[name] for name in names}


def _not_found(source: str, path: pathlib.Path) -> Exception:
    """Return the error for what is neither a known name nor a path, with the nearest of both."""
    hint = nearest_path(path, _NAMES)
    if os.sep in source or path.suffix:
        return FileNotFoundError(f"no such dataset file or folder: {path}{hint}")
    return ValueError(
        f"unknown dataset {source!r}{hint}, expected {', '.join(_NAMES)}, or the path of {LAYOUTS}"
    )
