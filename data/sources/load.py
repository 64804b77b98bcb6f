"""One name or path to a dataset."""

import difflib
import os
import pathlib

from stillhouse.data.dataset import Dataset
from stillhouse.data.sources.digits import load_digits
from stillhouse.data.sources.idx import has_idx, load_idx
from stillhouse.data.sources.npz import load_npz
from stillhouse.data.sources.parquet import has_parquet, load_parquet

_NAMES = ("digits",)
_FORMATS = (
    "a folder of Parquet files (train-*.parquet), a folder of IDX files (train-images-idx3-ubyte), "
    "or a .npz file with `images` and `labels`"
)


def load_dataset(
    source: str | os.PathLike[str], *, test_fraction: float = 0.2, seed: int = 0
) -> Dataset:
    """Load a dataset by its name or path.

    Args:
        source: `digits`, or the path of a folder of Parquet files, of a folder of IDX files, or of
            a `.npz` file.
        test_fraction: the share held out where the source has no test images.
        seed: the seed of that split.

    Raises:
        ValueError: if the name is unknown, or the files are damaged or no dataset.
        OSError: if the path does not exist or cannot be read.
    """
    source = os.fspath(source)
    if source == "digits":
        return load_digits(test_fraction=test_fraction, seed=seed)
    path = pathlib.Path(os.path.abspath(os.path.expanduser(source)))
    if not source or not path.exists():
        raise _not_found(source, path)
    if path.is_dir():
        if has_parquet(path):
            return load_parquet(path, test_fraction=test_fraction, seed=seed)
        if has_idx(path):
            return load_idx(path, test_fraction=test_fraction, seed=seed)
        inside = sorted(p for p in path.iterdir() if p.is_dir() and (has_parquet(p) or has_idx(p)))
        hint = f" (did you mean {inside[0]}?)" if inside else ""
        raise ValueError(f"{path}: no dataset in this folder{hint}, expected {_FORMATS}")
    if path.suffix == ".npz":
        return load_npz(path, test_fraction=test_fraction, seed=seed)
    if has_parquet(path.parent) or has_idx(path.parent):
        raise ValueError(f"{path}: give the folder that holds the files, {path.parent}")
    raise ValueError(f"{path}: not a dataset, expected {_FORMATS}")


def _not_found(source: str, path: pathlib.Path) -> Exception:
    """Return the error for what is neither a known name nor a path, with the nearest of both."""
    siblings = {p.name: str(p) for p in path.parent.iterdir()} if path.parent.is_dir() else {}
    known = {**siblings, **{name: name for name in _NAMES}}
    near = difflib.get_close_matches(path.name, known, n=1)
    hint = f" (did you mean {known[near[0]]}?)" if near else ""
    if os.sep in source or path.suffix:
        return FileNotFoundError(f"no such dataset file or folder: {path}{hint}")
    return ValueError(
        f"unknown dataset {source!r}{hint}, expected {', '.join(_NAMES)}, or the path of {_FORMATS}"
    )
