"""Downloads from web servers that go on where a connection broke."""

import os
import time
from typing import Any, BinaryIO

import pooch
import requests
from tqdm import tqdm

_ATTEMPTS = 4
_FIRST_WAIT = 0.25  # seconds, doubled each time
_TIMEOUT = 30  # seconds without a byte
_CHUNK = 2**13  # What of it has come when a connection breaks is lost.
_NOT_THERE = (404, 410)
_NO_SUCH_RANGE = 416
_BUSY = (408, 425, 429, 500, 502, 503, 504)


def download_web(url: str, file: BinaryIO, max_bytes: int | None = None) -> None:
    """Write what a web server has at `url` into an empty file.

    A connection that breaks is taken up again, four times in all. What came is kept where the
    server supports ranges and says by an ETag or a date that its file is still the same one;
    otherwise the download begins anew. Nothing is carried on from one call to the next.

    Args:
        url: where.
        file: empty, open for writing.
        max_bytes: how many may come; None for any number.

    Raises:
        TooManyBytesError: if the server announces more, or sends more.
        FileNotFoundError: if the server has no such file.
        ConnectionError: if it cannot be reached, refuses, or breaks off each time.
        OSError: if the file cannot be written.
    """
    version = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_FIRST_WAIT * 2 ** (attempt - 1))
        answers = _Answers(file, version, max_bytes)
        try:
            _get(url, BoundedFile(file, url, max_bytes), answers)
            return
        except requests.HTTPError as error:
            response = error.response
            assert response is not None  # It is what the error is of.
            status, reason = response.status_code, response.reason
            if status in _NOT_THERE:
                raise FileNotFoundError(f"{url}: not there ({status} {reason})") from error
            failure = f"the server answers {status} {reason}"
            if status == _NO_SUCH_RANGE:
                _empty(file)
            elif status not in _BUSY:
                raise ConnectionError(f"{url}: {failure}") from error
        except requests.RequestException as error:
            if isinstance(error, ValueError):  # No URL at all.
                raise ValueError(f"{url}: not a URL ({error})") from error
            failure = _broken(error, file.tell(), answers.size)
        version = answers.version
    raise ConnectionError(f"{url}: {failure}; tried {_ATTEMPTS} times")


class TooManyBytesError(ValueError):
    """A download of more bytes than were allowed."""


def check_download(size: int, location: str, max_bytes: int | None) -> None:
    """Raise `TooManyBytesError` if a file of this many bytes is too large to be fetched."""
    if max_bytes is not None and size > max_bytes:
        raise TooManyBytesError(
            f"{location}: {size:,} bytes or more, where {max_bytes:,} are fetched; if you trust "
            f"it, give a larger `max_bytes`"
        )


class BoundedFile:
    """What is written goes into a file, up to a number of bytes in all.

    Args:
        file: open for writing.
        location: what the error calls what is written.
        max_bytes: how many there may be; None for any number.
    """

    def __init__(self, file: BinaryIO, location: str, max_bytes: int | None) -> None:
        self._file = file
        self._location = location
        self._max_bytes = max_bytes

    def write(self, data: bytes) -> int:
        """Write, or raise `TooManyBytesError`."""
        check_download(self._file.tell() + len(data), self._location, self._max_bytes)
        return self._file.write(data)

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()


class _Answers:
    """Notes what the server says, and puts the file where the answer's bytes belong."""

    def __init__(self, file: BinaryIO, version: str | None, max_bytes: int | None) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._asked = version
        self.version = version
        self.size: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What to ask for."""
        done = self._file.tell()
        # As it lies there: a range of a compressed answer would be of no use.
        headers = {"Accept-Encoding": "identity"}
        if done and self._asked is not None:
            headers |= {"Range": f"bytes={done}-", "If-Range": self._asked}
        return headers

    def __call__(self, response: requests.Response, **_: Any) -> None:
        if response.status_code == 200:
            _empty(self._file)
        elif response.status_code == 206:
            part = response.headers.get("Content-Range", "")
            if not part.startswith(f"bytes {self._file.tell()}-"):
                raise ConnectionError(f"{response.url}: the server sends another part, {part!r}")
        if response.status_code in (200, 206):
            tag = response.headers.get("ETag", "")
            weak = not tag or tag.startswith("W/")
            self.version = response.headers.get("Last-Modified") if weak else tag
            length = response.headers.get("Content-Length", "")
            self.size = self._file.tell() + int(length) if length.isdigit() else None
            if self.size is not None:
                check_download(self.size, response.url, self._max_bytes)


def _empty(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()


def _get(url: str, file: "BoundedFile", answers: _Answers) -> None:
    name = os.path.basename(url.partition("?")[0])
    # pooch asks a bar for its truth, which one without a total has not.
    bar = tqdm(total=1, desc=name, unit="B", unit_scale=True, leave=False, disable=None)
    with bar:
        downloader = pooch.HTTPDownloader(
            progressbar=bar,
            chunk_size=_CHUNK,
            timeout=_TIMEOUT,
            headers=answers.headers,
            hooks={"response": answers},
        )
        downloader(url, file, None)


def _broken(error: requests.RequestException, done: int, size: int | None) -> str:
    if isinstance(error, requests.Timeout):
        return f"no answer within {_TIMEOUT} seconds"
    if size is not None:
        return f"the connection broke after {done:,} of {size:,} bytes"
    if done:
        return f"the connection broke after {done:,} bytes"
    inner = error.args[0] if error.args else error
    inner = getattr(inner, "reason", inner)  # What the pool of connections met.
    return f"cannot be reached ({str(inner).rpartition(': ')[2]})"
