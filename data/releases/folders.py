"""Folders that several publishers write into: of this machine, and of object stores."""

import contextlib
import getpass
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from stillhouse.data.atomic import write_bytes
from stillhouse.data.releases.stores import inside, is_web, local_path, open_store

_LOCK = ".index.lock"
_PATIENCE = 60.0  # seconds; publishing takes one or two
_LOOK = 0.2  # seconds between two tries


class ReleaseFolder(Protocol):
    """Where sets are published; paths within have `/` between their parts."""

    location: str

    def lock(self) -> AbstractContextManager[None]:
        """Keep other publishers out.

        Raises:
            TimeoutError: if another one stays in.
            OSError: if the folder cannot be written.
        """
        ...

    def read(self, path: str) -> bytes | None:
        """Return the content of a file, None where there is none."""
        ...

    def write(self, path: str, content: bytes) -> None:
        """Make or replace a file: readers see the old one or the new one."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file, and the folders that it leaves empty."""
        ...


def open_folder(location: str) -> ReleaseFolder:
    """Return the folder at a path, or at a URL of the schemes file, s3 and gs.

    Raises:
        ValueError: if it is on a web server, or there is no driver for its scheme.
    """
    if is_web(location):
        raise ValueError(
            f"{location}: a web server cannot be published to; give a folder, s3:// or gs://"
        )
    path = local_path(location)
    return StoreFolder(location) if path is None else LocalFolder(Path(path))


def add_files(folder: ReleaseFolder, files: Mapping[str, bytes]) -> list[str]:
    """Write files that are not there yet: all of them, or none.

    Returns:
        The paths that were not there before.

    Raises:
        ValueError: if one is there with another content.
        OSError: if one cannot be written.
    """
    there = {path: folder.read(path) for path in files}
    for path, content in files.items():
        if there[path] not in (None, content):
            raise ValueError(
                f"{inside(folder.location, path)} is there already, with another content; nothing "
                "is overwritten"
            )
    new = [path for path in files if there[path] is None]
    with all_or_nothing(folder, new):
        for path in new:
            folder.write(path, files[path])
    return new


@contextlib.contextmanager
def all_or_nothing(folder: ReleaseFolder, paths: list[str]) -> Iterator[None]:
    """Remove the files at `paths` again if what is done inside fails."""
    try:
        yield
    except BaseException:
        for path in reversed(paths):
            # The error that is on its way says more than one of cleaning up after it.
            with contextlib.suppress(Exception):
                folder.remove(path)
        raise


def within(folder: Path, path: str) -> Path:
    """Return the file at a relative path of a folder, which must lie in it.

    Raises:
        ValueError: if `..` or a link leads out of the folder.
    """
    file = folder / path
    if not file.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{file}: leads out of {folder}, by a link or by `..`; nothing is there")
    return file


class LocalFolder:
    """A folder of this machine, or of a shared disk.

    No link leads out of it: a release may come from elsewhere, and what is written into it must
    stay there.

    Publishers keep each other out by a lock of the system, which ends with the process that
    holds it; on a shared disk the disk must support such locks, as NFS 4 does.
    """

    def __init__(self, path: Path) -> None:
        self.location = str(path)
        self._path = path

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other publishers out."""
        self._path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._inside(_LOCK), timeout=_PATIENCE)
        try:
            lock.acquire()
        except Timeout as error:
            raise TimeoutError(
                f"{self.location}: another publisher has been at work for {_PATIENCE:.0f} seconds; "
                "try again later"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def read(self, path: str) -> bytes | None:
        """Return the content of a file, None where there is none."""
        try:
            return self._inside(path).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, path: str, content: bytes) -> None:
        """Make or replace a file."""
        file = self._inside(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_bytes(file, content)
        except BaseException:
            self._prune(file.parent)
            raise

    def remove(self, path: str) -> None:
        """Remove a file, and the folders that it leaves empty."""
        file = self._inside(path)
        file.unlink(missing_ok=True)
        self._prune(file.parent)

    def _inside(self, path: str) -> Path:
        return within(self._path, path)

    def _prune(self, folder: Path) -> None:
        with contextlib.suppress(OSError):  # The first that is not empty.
            while folder != self._path:
                folder.rmdir()
                folder = folder.parent


class StoreFolder:
    """A folder of an object store.

    An object is written whole or not at all. Publishers keep each other out by an object that
    only one of them can create, which S3 and Google Cloud Storage grant; one that dies leaves it
    behind, and the others then say what to remove. On a store that does not grant it, of two
    publishers at one moment the second one's index may win: `publish` looks whether its own row
    is there in the end, and publishing again adds it.
    """

    def __init__(self, location: str) -> None:
        self.location = location.rstrip("/")
        self._store, self._root = open_store(self.location)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other publishers out."""
        path = self._within(_LOCK)
        mark = f"{getpass.getuser()} on {socket.gethostname()}, process {os.getpid()}".encode()
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                with self._errors(FileExistsError):
                    self._store.pipe_file(path, mark, mode="create")
                break
            except FileExistsError as error:
                if time.monotonic() > end:
                    holder = (self.read(_LOCK) or b"").decode(errors="replace")
                    raise TimeoutError(
                        f"{self.location}: another publisher ({holder}) has been at work for "
                        f"{_PATIENCE:.0f} seconds; if it has died, remove "
                        f"{inside(self.location, _LOCK)}"
                    ) from error
                time.sleep(_LOOK)
        try:
            yield
        finally:
            self.remove(_LOCK)  # Not there if somebody took its holder for dead: no error now.

    def read(self, path: str) -> bytes | None:
        """Return the content of a file, None where there is none."""
        with self._errors():
            self._store.invalidate_cache()  # What others wrote meanwhile.
            try:
                content: bytes = self._store.cat_file(self._within(path))
            except FileNotFoundError:
                return None
            return content

    def write(self, path: str, content: bytes) -> None:
        """Make or replace a file."""
        with self._errors():
            self._store.pipe_file(self._within(path), content)

    def remove(self, path: str) -> None:
        """Remove a file."""
        with self._errors(), contextlib.suppress(FileNotFoundError):
            self._store.rm_file(self._within(path))

    def _within(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}"

    @contextlib.contextmanager
    def _errors(self, *known: type[Exception]) -> Iterator[None]:
        """Give what a driver raises, which may be anything, the form of a failed connection."""
        try:
            yield
        except known:
            raise
        except Exception as error:
            raise ConnectionError(
                f"{self.location}: cannot be used ({type(error).__name__}: {error})"
            ) from error
