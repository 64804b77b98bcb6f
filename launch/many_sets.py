"""Several sets on one command line: which files they are, and what tells them apart."""

from collections.abc import Sequence
from pathlib import Path

from stillhouse.data.dataset import Dataset
from stillhouse.data.distilled import DistilledSet
from stillhouse.server.run_folder import RunFolder


def sets_in(name: str) -> list[str]:
    """Return a set, or the sets of the runs in a folder.

    Raises:
        ValueError: if it is a folder that holds neither.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir() or (folder / "distilled.npz").exists():
        return [name]
    inside = sorted(str(path.parent) for path in folder.glob("*/distilled.npz"))
    if not inside and not RunFolder(folder).config.exists():
        raise ValueError(f"{name} is a folder that holds no set, and no finished run")
    return inside or [name]


def short_names(files: Sequence[str]) -> list[str]:
    """Return what tells sets, or folders, apart: the names of their folders or files."""
    names = [Path(file).parent.name if Path(file).name == "distilled.npz" else Path(file).name
             for file in files]  # fmt: skip
    return [
        name if names.count(name) == 1 else file for name, file in zip(names, files, strict=True)
    ]


def check_fits(file: str, distilled: DistilledSet, dataset: Dataset) -> None:
    """Check that a set has images like those of a dataset, in as many classes.

    Raises:
        ValueError: if it has not.
    """
    shape = distilled.images.shape[1:]
    if shape != dataset.image_shape or distilled.num_classes != dataset.num_classes:
        raise ValueError(
            f"{file} has images of {' x '.join(map(str, shape))} in {distilled.num_classes} "
            f"classes, and {dataset.name} of {' x '.join(map(str, dataset.image_shape))} in "
            f"{dataset.num_classes}"
        )
