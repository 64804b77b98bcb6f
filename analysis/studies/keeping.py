"""The folder of studies: what they are about, and the table of each that is finished, as JSON."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stillhouse.analysis.studies.catalogue import STUDIES, Study
from stillhouse.analysis.studies.materials import Materials
from stillhouse.data.atomic import write_bytes
from stillhouse.data.card import software_versions
from stillhouse.data.folders import LOCK, check_writable, sole_writer
from stillhouse.data.records import from_plain, to_plain

FORMAT_VERSION = 1
_ABOUT = "study.json"
_PAGE = "study.html"
_WORDS = {
    "dataset": "another dataset",
    "sets": "other sets",
    "pools": "other pools",
    "seed": "another seed",
}


@dataclasses.dataclass(frozen=True)
class Kept:
    """A study that is finished.

    Attributes:
        study: which one.
        sizes: the sizes that decided its table.
        seconds: that it took.
        command: what made it.
        table: what was measured, a `Table` of its module.
    """

    study: Study
    sizes: Mapping[str, Any]
    seconds: float
    command: str
    table: Any


class StudyFolder:
    """The folder of studies of some sets.

    Args:
        path: where it is, or will be.
        materials: what they are about.
    """

    def __init__(self, path: Path, materials: Materials) -> None:
        self.path = path
        self._sizes = materials.sizes
        info = materials.dataset.info()
        self._about: dict[str, Any] = {
            "dataset": {"name": info.name, "fingerprint": info.fingerprint},
            "sets": [
                {"name": one.name, "method": one.method, "images": len(one.images),
                 "fingerprint": one.fingerprint}
                for one in materials.sets
            ],
            "pools": [
                {"name": one.name, "network": str(one.pool.info.network),
                 "networks": len(one.pool), "fingerprint": one.pool.fingerprint}
                for one in materials.pools
            ],
            "seed": materials.seed,
        }  # fmt: skip

    @property
    def log(self) -> Path:
        """The file for what is said meanwhile."""
        return self.path / "log.txt"

    @property
    def page(self) -> Path:
        """The file of the page."""
        return self.path / _PAGE

    @property
    def identity(self) -> dict[str, Any]:
        """What the studies are about, and how large they are."""
        return {**self._about, "sizes": to_plain(self._sizes)}

    def check(self, studies: list[Study]) -> None:
        """Check that these studies can go here, and write nothing.

        Raises:
            ValueError: if the folder is about other sets, pools or data, holds a study of another
                size, or other files.
            OSError: if it is no folder, or cannot be written.
        """
        check_writable(self.path)
        if not self.path.exists():
            return
        if not (self.path / _ABOUT).exists():
            if any(entry.name not in (LOCK, self.log.name) for entry in self.path.iterdir()):
                raise ValueError(
                    f"`--out`: {self.path} is not empty and holds no studies; give another folder"
                )
            return
        before = _read(self.path / _ABOUT)
        for name, words in _WORDS.items():
            if before.get(name) != self._about[name]:
                raise ValueError(
                    f"`--out`: {self.path} holds studies of {words}; give another folder"
                )
        for study in studies:
            kept = self.read(study)
            for name, value in (kept.sizes if kept else {}).items():
                now = to_plain(self._sizes)[name]
                if now != value:
                    raise ValueError(
                        f"`--{name}`: {self._file(study)} was made with {_shown(value)}, not "
                        f"{_shown(now)}; delete it, or give another --out"
                    )

    @contextlib.contextmanager
    def opened(self, studies: list[Study]) -> Iterator[None]:
        """Make the folder if need be, and keep every other process from writing in it.

        Raises:
            ValueError: as `check`, and if another process is at it.
            OSError: if it cannot be made or written.
        """
        self.check(studies)
        with sole_writer(self.path):
            self.check(studies)  # Again: another process may have made it meanwhile.
            record = {"format_version": FORMAT_VERSION, **self._about}
            self._write(_ABOUT, {**record, "software": software_versions()})
            yield

    def read(self, study: Study) -> Kept | None:
        """Return a study that is finished; None where it is not.

        Raises:
            ValueError: if its file is damaged.
            OSError: if it cannot be read.
        """
        file = self._file(study)
        if not file.exists():
            return None
        record = _read(file)
        try:
            table = from_plain(study.module.Table, record["table"])
            seconds, command = float(record["seconds"]), str(record["command"])
            return Kept(study, record["sizes"], seconds, command, table)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{file} cannot be read as a study ({error}); delete it, and it is made again"
            ) from error

    def finished(self) -> list[Kept]:
        """Return the studies that are finished, in the order of the catalogue.

        Raises:
            ValueError: if a file is damaged.
            OSError: if one cannot be read.
        """
        return [kept for study in STUDIES.values() if (kept := self.read(study)) is not None]

    def add(self, study: Study, table: Any, *, seconds: float, command: str) -> None:
        """Write a study that is finished.

        Args:
            study: which one.
            table: what was measured.
            seconds: that it took.
            command: what made it.

        Raises:
            OSError: if it cannot be written.
        """
        sizes = {name: to_plain(self._sizes)[name] for name in study.sizes}
        made = {"sizes": sizes, "seconds": round(seconds, 1), "command": command}
        record = {"study": study.name, **made, "table": to_plain(table)}
        self._write(self._file(study).name, record)

    def write_page(self, text: str) -> None:
        """Write the page.

        Raises:
            OSError: if it cannot be written.
        """
        write_bytes(self.page, text.encode())

    def _file(self, study: Study) -> Path:
        return self.path / f"{study.name}.json"

    def _write(self, name: str, record: Mapping[str, Any]) -> None:
        text = json.dumps(record, indent=1, allow_nan=False) + "\n"
        write_bytes(self.path / name, text.encode())


def _read(file: Path) -> dict[str, Any]:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} cannot be read ({error}); delete it") from error
    if not isinstance(record, dict):
        raise ValueError(f"{file} holds no study; delete it")
    if record.get("format_version", FORMAT_VERSION) > FORMAT_VERSION:
        raise ValueError(f"{file} was written by a newer Stillhouse; use that one")
    return record


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
