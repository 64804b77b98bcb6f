"""Paths that lead nowhere."""

import difflib
import pathlib
from collections.abc import Iterable


def nearest_path(path: pathlib.Path, names: Iterable[str] = ()) -> str:
    """Return a hint at the path that was probably meant, such as ` (did you mean mnist?)`.

    Args:
        path: what does not exist.
        names: what may be given in place of a path.
    """
    folder = path.parent
    known = {p.name: str(p) for p in folder.iterdir()} if folder.is_dir() else {}
    known |= {name: name for name in names}
    near = difflib.get_close_matches(path.name, known, n=1)
    return f" (did you mean {known[near[0]]}?)" if near else ""
