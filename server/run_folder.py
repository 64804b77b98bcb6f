"""The folder of a run: all that it leaves, and the refusal to mix two runs.

`config.json` says what the run is, `log.txt` what it said, `metrics.jsonl` and `tensorboard/` what
it measured; from `checkpoints/` it goes on, and with `begun.npz`, the transform and the card, these
can be looked at. At its end come `distilled.npz`, `result.json`, and
`distilled.png` and `curves.png`, the pictures of both.
"""

import contextlib
import fcntl
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stillhouse.data.atomic import write_bytes
from stillhouse.data.distilled import load_distilled
from stillhouse.server import lock_file

_log = logging.getLogger(__name__)

FORMAT_VERSION = 1
# What is left of an atomic write whose process was killed.
_LEFTOVER = re.compile(r"\..+\.tmp")


class RunFolder:
    """The folder of a run.

    Args:
        path: where it is, or will be.

    Attributes:
        path, config, log, metrics, tensorboard, checkpoints, distilled, result, begun, picture,
            curves, token: the folder, and what is in it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.log = self.path / "log.txt"
        self.metrics = self.path / "metrics.jsonl"
        self.tensorboard = self.path / "tensorboard"
        self.checkpoints = self.path / "checkpoints"
        self.distilled = self.path / "distilled.npz"
        self.result = self.path / "result.json"
        self.begun = self.path / "begun.npz"
        self.picture = self.path / "distilled.png"
        self.curves = self.path / "curves.png"
        self.token = self.path / "token"

    def check(
        self, identity: Mapping[str, Any], *, bytes_needed: int = 0, growing: str | None = None
    ) -> bool:
        """Check that the run can go here, and write nothing.

        Args:
            identity: the settings that decide its result.
            bytes_needed: what it will write, about.
            growing: the setting that may be larger here than there, because a run is the beginning
                of one with more of it.

        Returns:
            Whether this very run was begun here before.

        Raises:
            ValueError: if the folder holds another run, or other files, or the disk is too full.
            OSError: if it is no folder, or cannot be written.
        """
        self.check_writable(bytes_needed)
        if not self._entries() or self._is_begun():
            return False
        found = self._identity()
        changes = [
            f"{name} is {_shown(found.get(name))} there and {_shown(identity.get(name))} here"
            for name in sorted({*found, *identity})
            if found.get(name) != identity.get(name)
            and not (name == growing and _grows(found.get(name), identity.get(name)))
        ]
        if changes:
            raise ValueError(
                f"`--out`: {self.path} holds another run: {'; '.join(changes)}; "
                "give another folder, or the same settings to go on with that run"
            )
        return True

    def check_writable(self, bytes_needed: int = 0) -> None:
        """Check that the folder is a run's or empty or absent, and can be written.

        Raises:
            ValueError: if it holds other files, or the disk has not so many bytes left.
            OSError: if it is no folder, or cannot be written.
        """
        there = self.path
        while not there.exists():
            there = there.parent
        if not there.is_dir():
            raise NotADirectoryError(20, "is a file, not a folder", str(there))
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(13, "no permission to write in this folder", str(there))
        if self._entries() and not self.config.exists() and not self._is_begun():
            raise ValueError(
                f"`--out`: {self.path} is not empty and holds no run; give another folder"
            )
        free = shutil.disk_usage(there).free
        if free < bytes_needed:
            raise ValueError(
                f"`--out`: the run writes about {bytes_needed / 1e6:.0f} MB and {free / 1e6:.0f} "
                f"MB are free at {there}; free some space or give a folder on another disk"
            )

    @contextlib.contextmanager
    def opened(
        self,
        identity: Mapping[str, Any],
        settings: Mapping[str, Any],
        *,
        growing: str | None = None,
    ) -> Iterator[None]:
        """Make the folder if need be, and keep every other process from running in it.

        Args:
            identity: the settings that decide the result, as for `check`.
            settings: all of them, for a reader of `config.json`.
            growing: as for `check`; what said that the shorter run was finished is removed.

        Raises:
            ValueError: if another process is at it, or it holds another run.
            OSError: if it cannot be made or written; nothing of it stays.
        """
        self._make(identity, settings)
        descriptor = os.open(self.path, os.O_RDONLY)
        lock = None
        try:
            if not self._lock(descriptor):
                lock = lock_file.take(self.path)
            # Again: another process may have made it meanwhile.
            self.check(identity, growing=growing)
            if growing is not None and self._identity().get(growing) != identity.get(growing):
                self._extend(identity, settings)
            for folder in (self.path, self.checkpoints):
                for path in folder.iterdir():
                    if _LEFTOVER.fullmatch(path.name):
                        path.unlink(missing_ok=True)
            yield
        finally:
            os.close(descriptor)  # Gives the lock back, as the end of the process does.
            if lock is not None:
                lock.unlink(missing_ok=True)

    def read_result(self, steps: int | None = None) -> dict[str, Any] | None:
        """Return the result of a finished run, None of one that is not finished.

        One whose set is damaged is not, and a warning says so: its last checkpoint gives it again.

        Args:
            steps: how many it should have taken; one that took fewer is not finished. None for any.
        """
        if not self.result.exists() or not self.distilled.exists():
            return None
        try:
            load_distilled(self.distilled)
        except ValueError as error:
            _log.warning("%s; it is to be written again from the last checkpoint", error)
            return None
        result: dict[str, Any] = _read_json(self.result)
        return None if steps is not None and result.get("steps", steps) < steps else result

    def read_settings(self) -> dict[str, Any]:
        """Return the settings of the run that is here, as they were given or worked out.

        Raises:
            ValueError: if what is here is not the configuration of a run.
            OSError: if it cannot be read.
        """
        settings = _read_json(self.config).get("settings")
        if not isinstance(settings, dict):
            raise ValueError(f"{self.config} is not the configuration of a run")
        return settings

    def _extend(self, identity: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """Make a finished run the beginning of a longer one.

        In this order: killed in between, it is an unfinished run, and the same command goes on.
        """
        for path in (self.result, self.picture, self.curves, self.begun):
            path.unlink(missing_ok=True)
        content = {"format_version": FORMAT_VERSION, "identity": identity, "settings": settings}
        write_json(self.config, content)

    def _make(self, identity: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        missing = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        made = [*reversed(missing), self.checkpoints, self.tensorboard]
        made = [folder for folder in made if not folder.exists()]
        content = {"format_version": FORMAT_VERSION, "identity": identity, "settings": settings}
        try:
            for folder in made:
                folder.mkdir(exist_ok=True)
            if not self.config.exists():
                write_json(self.config, content)
        except BaseException:
            for folder in reversed(made):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            raise

    def _lock(self, descriptor: int) -> bool:
        """Lock the folder, and return False where the file system has no locks."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"`--out`: another process is running in {self.path}; wait for it, or give "
                "another folder"
            ) from error
        except OSError:  # ENOLCK, EBADF: such as NFS without locks.
            return False
        return True

    def _is_begun(self) -> bool:
        """Return whether a run was ended while it made the folder, and left it without content."""
        own = {self.checkpoints.name, self.tensorboard.name}
        return set(self._entries()) <= own and not any(
            any((self.path / name).iterdir()) for name in self._entries()
        )

    def _entries(self) -> list[str]:
        if not self.path.exists():
            return []
        names = os.listdir(self.path)
        # A token is made before there is a run to go with it.
        others = (lock_file.NAME, self.token.name)
        return [n for n in names if not _LEFTOVER.fullmatch(n) and n not in others]

    def _identity(self) -> dict[str, Any]:
        content = _read_json(self.config)
        identity = content.get("identity")
        if not isinstance(identity, dict):
            raise ValueError(f"{self.config} is not the configuration of a run")
        if content.get("format_version", 0) > FORMAT_VERSION:
            raise ValueError(f"{self.config} was written by a newer Stillhouse; use that one")
        return identity


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object for machines and people, atomically.

    Raises:
        OSError: if the file cannot be written.
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, atomically.

    Raises:
        OSError: if the file cannot be written.
    """
    write_bytes(path, text.encode())


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); give another folder") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged (not a JSON object); give another folder")
    return content


def _grows(there: Any, here: Any) -> bool:
    return type(there) is int and type(here) is int and here > there


def _shown(value: Any) -> str:
    return "not set" if value is None else str(value)
