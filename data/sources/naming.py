"""Saying which file an error is about, and what a dataset is called."""

import contextlib
import os
import pathlib
from collections.abc import Iterator, Sequence

from stillhouse.data.archive import listed


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put the path in front of any `ValueError` raised inside."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error


def chosen_column(
    columns: Sequence[str], option: str, asked: str | None, usual: Sequence[str]
) -> str:
    """Return the column that is asked for, or the first of the usual ones that is there.

    Args:
        columns: those that there are.
        option: what asks for another one.
        asked: its name; None for a usual one.
        usual: their names.

    Raises:
        ValueError: if it is not there.
    """
    wanted = usual if asked is None else (asked,)
    for name in wanted:
        if name in columns:
            return name
    hint = f"; name it by `{option}`" if asked is None else ""
    shown = " or ".join(f"`{name}`" for name in wanted)
    raise ValueError(f"no column {shown}, found {listed(columns)}{hint}")


def resized_note(resized: int, size: tuple[int, int] | None) -> tuple[str, ...]:
    """Return what a dataset notes of images that were resized."""
    if not resized or size is None:
        return ()
    return (f"{resized:,} images of other sizes are resized to {size[0]}x{size[1]}",)


# What says nothing of the data: the folder above has the name.
_EVERYWHERE = (
    *("data", "dataset", "datasets", "default", "images", "parquet", "raw", "processed"),
    *("train", "training"),
)


def source_name(path: pathlib.Path) -> str:
    """Return what a dataset is called after its path: `cifar10` of `cifar10/data` too.

    The name of a user's home says nothing of data, and does not belong into what is published.
    """
    path = pathlib.Path(os.path.abspath(path))
    home = pathlib.Path(os.path.expanduser("~"))
    for folder in (path, *path.parents):
        if folder == home or not folder.name:
            break
        if folder.name.lower() not in _EVERYWHERE:
            return folder.name
    return path.name
