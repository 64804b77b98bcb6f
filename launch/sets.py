"""Distilled sets by the names that a user gives them."""

from pathlib import Path

from stillhouse.data.distilled import DistilledSet, load_distilled


def read_set(name: str) -> DistilledSet:
    """Return the distilled set of a file, or of a run folder.

    Raises:
        ValueError: if the file is damaged or is no distilled set, or the run is not finished.
        OSError: if there is no such file, or it cannot be read.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        file = path / "distilled.npz"
        if not file.exists():
            raise ValueError(f"{path} is a folder without a distilled.npz; name the file")
        path = file
    return load_distilled(path)
