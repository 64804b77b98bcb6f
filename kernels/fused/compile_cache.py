"""Compiled loops, kept on disk from one process to the next.

The folder is `$STILLHOUSE_CACHE`, else `stillhouse` in `$XDG_CACHE_HOME`, else in `~/.cache`.
Inside it every combination of this package's source, Python, Numba and processor has a folder of
its own. Numba loads what it finds there without a look: so a file is trusted only if its checksum
is on the list that the process which wrote it has left, and thrown away, to be compiled anew,
otherwise. One process compiles at a time: of those that begin at once the others find its code.
"""

import contextlib
import fcntl
import functools
import hashlib
import json
import logging
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import llvmlite
import llvmlite.binding
import numba

_LOG = logging.getLogger(__name__)
_LIST = "checksums.json"
_PATIENCE = 300.0  # seconds for which another process may compile what this one needs
_OPTIONS = {"error_model": "numpy", "nogil": True}
_LOCK = threading.Lock()

# Both make one large function of many small ones. The first leaves that to LLVM, for leaves called
# from several places; the second splices before any type is known, for what is called from one
# place, and spares the compilation of the same loops at every depth of the calls.
inlined = numba.njit(forceinline=True, **_OPTIONS)
woven = numba.njit(inline="always", **_OPTIONS)


class CachedLoop:
    """A compiled function that Python calls; its machine code is read from or left in the cache."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Take the function; nothing is compiled, or looked for on disk, before the first call."""
        functools.update_wrapper(self, function)
        self._dispatcher = numba.njit(**_OPTIONS)(function)
        self._known = 0
        self._is_prepared = False

    def __call__(self, *arguments: Any) -> Any:
        """Run the loop."""
        if not self._known:
            self._prepare()
            self._compile(arguments)
        start = time.monotonic()
        try:
            return self._dispatcher(*arguments)
        except OSError as error:  # only saving can have failed: the function has been compiled
            _warn_once(str(error))
            return self._dispatcher(*arguments)
        finally:  # For arguments of other types it has been compiled again.
            if len(self._dispatcher.overloads) != self._known:
                self._note_new_code(time.monotonic() - start)

    def _compile(self, arguments: tuple[Any, ...]) -> None:
        """Compile for these arguments, or load what another process has just compiled."""
        folder = _folder()
        with contextlib.nullcontext() if folder is None else _alone(folder):
            start = time.monotonic()
            try:
                self._dispatcher.compile(tuple(map(self._dispatcher.typeof_pyval, arguments)))
            except OSError as error:  # as below
                _warn_once(str(error))
            self._note_new_code(time.monotonic() - start)

    def _note_new_code(self, seconds: float) -> None:
        self._known = len(self._dispatcher.overloads)
        if sum(self._dispatcher.stats.cache_misses.values()):
            _LOG.info("compiled %s in %.1f s", self._dispatcher.py_func.__name__, seconds)
            _list_files()

    def _prepare(self) -> None:
        with _LOCK:
            folder = _folder()
            if folder is not None and not self._is_prepared:
                with _numba_cache(folder):
                    self._dispatcher.enable_caching()
            self._is_prepared = True


@functools.cache
def _folder() -> Path | None:
    """Return this process's folder, cleared of unsound files; None if nothing can be kept."""
    try:
        folder = cache_root() / f"fused-{_fingerprint()}"
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        with _alone(folder):  # What another one has written may not be listed yet.
            _remove_unsound(folder)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        _warn_once(str(error))
        return None
    return folder


def cache_root() -> Path:
    """Return the folder of all compiled code.

    Raises:
        RuntimeError: if none is named and there is no home.
    """
    if os.environ.get("STILLHOUSE_CACHE"):
        return Path(os.environ["STILLHOUSE_CACHE"])
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "stillhouse"
    return Path.home() / ".cache" / "stillhouse"


def _fingerprint() -> str:
    """Return a hash of all that the machine code depends on."""
    digest = hashlib.sha256()
    versions = platform.python_version(), numba.__version__, llvmlite.__version__
    features = llvmlite.binding.get_host_cpu_features().flatten()
    for text in (*versions, llvmlite.binding.get_host_cpu_name(), features):
        digest.update(text.encode() + b"\0")
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix in (".nbi", ".nbc"))


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _remove_unsound(folder: Path) -> None:
    try:
        listed = dict(json.loads((folder / _LIST).read_text()))
    except (OSError, ValueError, TypeError):
        listed = {}
    for path in _files(folder):
        if listed.get(str(path.relative_to(folder))) != _checksum(path):
            path.unlink(missing_ok=True)


def _list_files() -> None:
    """Write the checksums of the files as they now are."""
    folder = _folder()
    if folder is None:
        return
    with _LOCK, contextlib.suppress(OSError):  # unlisted files are compiled again, no more
        sums = {str(path.relative_to(folder)): _checksum(path) for path in _files(folder)}
        descriptor, name = tempfile.mkstemp(dir=folder)
        with os.fdopen(descriptor, "w") as file:
            json.dump(sums, file)
        os.replace(name, folder / _LIST)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process is here, but not for ever, nor where that cannot be told."""
    try:
        file = open(folder / "lock", "wb")
    except OSError:
        yield
        return
    with file:
        until = time.monotonic() + _PATIENCE
        while not _locked(file) and time.monotonic() < until:
            time.sleep(0.05)
        yield


def _locked(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # There are no locks here.
        return True
    return True


@contextlib.contextmanager
def _numba_cache(folder: Path) -> Iterator[None]:
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before


@functools.cache
def _warn_once(reason: str) -> None:
    _LOG.warning(
        "compiled code cannot be kept for the next start (%s): set STILLHOUSE_CACHE to a folder "
        "that can be written to",
        reason,
    )
