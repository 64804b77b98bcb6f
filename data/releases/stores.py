"""Places by their address: this machine's files, web servers, and object stores."""

import os
from typing import Any
from urllib.parse import unquote, urlsplit

import fsspec

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
_KNOWN = "a path, file://, https://, s3:// or gs://"


def scheme_of(location: str) -> str:
    """Return what stands before `://` in lower case; `file` for a path."""
    scheme, colon, _ = location.partition("://")
    return scheme.lower() if colon else "file"


def is_web(location: str) -> bool:
    """Return whether a web server has it."""
    return scheme_of(location) in ("http", "https")


def local_path(location: str) -> str | None:
    """Return the path of what lies on this machine, None for what lies elsewhere."""
    if scheme_of(location) != "file":
        return None
    path = unquote(urlsplit(location).path) if "://" in location else location
    return os.path.expanduser(path)


def beside(location: str, name: str) -> str:
    """Return the location of `name` in the folder of the file at `location`."""
    folder, slash, _ = location.partition("?")[0].rpartition("/")
    return f"{folder}{slash}{name}"


def inside(location: str, name: str) -> str:
    """Return the location of `name` in the folder at `location`."""
    return f"{location.rstrip('/')}/{name}"


def open_store(location: str) -> tuple[Any, str]:
    """Return the fsspec file system of an object store, and the path in it.

    Raises:
        ValueError: if the scheme is unknown, or its driver is not installed.
    """
    scheme = scheme_of(location)
    try:
        return fsspec.core.url_to_fs(location)
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        how = f"pip install 'stillhouse[{extra}]'" if extra else str(error)
        raise ValueError(f"{location}: no driver for {scheme}:// is installed; {how}") from error
    except ValueError as error:
        raise ValueError(
            f"{location}: unknown scheme {scheme}://, expected {_KNOWN} ({error})"
        ) from error
