"""Files by their address: read, or kept in a cache."""

import contextlib
import errno
import io
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import pooch
from tqdm import tqdm

from stillhouse.data.releases.resuming import (
    BoundedFile,
    TooManyBytesError,
    check_download,
    download_web,
)
from stillhouse.data.releases.stores import is_web, local_path, open_store

# Of an index, a megabyte at most; of a set, tens of megabytes with its whitening.
_INDEX_BYTES = 64 * 2**20
_SET_BYTES = 2 * 2**30
_SPARE = 2**30  # left free on the disk
_VARIABLE = "STILLHOUSE_CACHE"
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def cache_folder() -> Path:
    """Return the folder of the cache: `$STILLHOUSE_CACHE`, or `stillhouse` in the user's own."""
    asked = os.environ.get(_VARIABLE)
    return Path(asked).expanduser() if asked else Path(pooch.os_cache("stillhouse"))


def read_location(location: str) -> bytes:
    """Return the content of a small file, such as an index; it is not cached.

    Args:
        location: a path, or a URL of the schemes file, http, https, s3 and gs.

    Raises:
        ValueError: if the scheme is unknown, its driver is not installed, or it is larger than
            64 MiB.
        OSError: if it is not there, or cannot be read.
    """
    path = local_path(location)
    if path is not None:
        check_download(os.stat(path).st_size, location, _INDEX_BYTES)
        return Path(path).read_bytes()
    content = io.BytesIO()
    _copy(location, content, _INDEX_BYTES)
    return content.getvalue()


def download(
    location: str,
    *,
    sha256: str | None = None,
    check: Callable[[Path], object] | None = None,
    max_bytes: int | None = None,
) -> Path:
    """Return the path of a file, after fetching it into the cache unless it is there.

    What lies on this machine is not copied. A download that breaks off, has another SHA-256 or does
    not pass `check` leaves nothing in the cache. A file without a known SHA-256 is downloaded once,
    and not again if it changes.

    Args:
        location: as in `read_location`.
        sha256: of the content, in hex; None where unknown.
        check: called with the path of a file, raises `ValueError` if it is damaged.
        max_bytes: how many bytes may come; None for 2 GiB, or what the disk has but for 1 GiB.

    Raises:
        ValueError: if the content is not what it should be, there are more than `max_bytes` of it,
            or the scheme is unknown.
        OSError: if it is not there or cannot be read, or the cache cannot be written.
    """
    path = local_path(location)
    if path is not None:
        os.stat(path)  # It must be there, whether or not there is anything to verify.
        _verify(Path(path), location, sha256, check)
        return Path(path)
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    limit = max_bytes
    if limit is None:
        limit = min(_SET_BYTES, max(shutil.disk_usage(folder).free - _SPARE, 0))
    pooch.get_logger().setLevel("WARNING")  # It tells of every file, and how to name its hash.

    def fetch(url: str, output_file: str, _: object) -> None:
        try:
            with open(output_file, "wb") as file:
                _copy(url, file, limit)
        except OSError as error:
            if error.errno is not None and error.filename is None:
                error.filename = str(folder)  # Its disk is full, or worse.
            raise
        _verify(Path(output_file), location, sha256, check)

    name = pooch.utils.unique_file_name(location)
    if sha256 is None and (folder / name).exists():
        try:  # What a crash of the machine left, is fetched again.
            _verify(folder / name, location, None, check)
        except ValueError:
            with contextlib.suppress(FileNotFoundError):
                (folder / name).unlink()
    return Path(pooch.retrieve(location, sha256, name, folder, downloader=fetch))


def _copy(location: str, file: BinaryIO, max_bytes: int) -> None:
    if is_web(location):
        download_web(location, file, max_bytes)
        return
    store, path = open_store(location)
    try:
        size = store.size(path)
        with store.open(path, "rb") as source, _bar(source, location, size) as shown:
            shutil.copyfileobj(shown, BoundedFile(file, location, max_bytes))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{location}: not there") from error
    except TooManyBytesError:
        raise
    except Exception as error:  # The drivers raise what their libraries do.
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
            raise
        reason = str(error) or type(error).__name__
        raise ConnectionError(f"{location}: cannot be read ({reason})") from error
    if size is not None and size != file.tell():
        raise ConnectionError(f"{location}: broke off after {file.tell():,} of {size:,} bytes")


def _bar(source: Any, location: str, size: int | None) -> AbstractContextManager[Any]:
    name = os.path.basename(location)
    return tqdm.wrapattr(source, "read", size, desc=name, leave=False, disable=None)


def _verify(
    path: Path, location: str, sha256: str | None, check: Callable[[Path], object] | None
) -> None:
    if sha256 is not None:
        found = pooch.file_hash(str(path), alg="sha256")
        if found != sha256:
            raise ValueError(
                f"{location}: its SHA-256 is {found}, the index says {sha256}: the file is damaged "
                "or another one; nothing was kept"
            )
    if check is not None:
        try:
            check(path)
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), location)) from error
