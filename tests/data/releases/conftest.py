"""A web server that can fail in every way, and a small set to publish."""

import contextlib
import dataclasses
import http.server
import json
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from stillhouse.data import Card, DistilledSet, centred_one_hot, dataset_from_arrays, save_distilled
from stillhouse.data.releases import resuming
from stillhouse.data.transforms import fit_transform
from stillhouse.kernels import KernelSpec, fc


@dataclasses.dataclass
class Web:
    """A web server.

    Attributes:
        url: its address.
        files: what it has, by path.
        breaks: after how many bytes of the body it hangs up, one for each answer to come.
        statuses: answers to give before any other.
        ranges: whether it knows ranges.
        lengths: whether it says how long a file is.
        tags: the ETag of each path; by default one that never changes.
        asked: path and `Range` of every request.
    """

    url: str = ""
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)
    breaks: list[int] = dataclasses.field(default_factory=list)
    statuses: list[int] = dataclasses.field(default_factory=list)
    ranges: bool = True
    lengths: bool = True
    tags: dict[str, str] = dataclasses.field(default_factory=dict)
    asked: list[tuple[str, str | None]] = dataclasses.field(default_factory=list)


def _handler(web: Web) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.close_connection = True
            asked = self.headers.get("Range")
            web.asked.append((self.path, asked))
            content = web.files.get(self.path)
            if web.statuses or content is None:
                self.send_error(web.statuses.pop(0) if web.statuses else 404)
                return
            tag = web.tags.get(self.path, '"one"')
            start = 0
            if web.ranges and asked and self.headers.get("If-Range") == tag:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                if start >= len(content):
                    self.send_error(416)
                    return
            self.send_response(206 if start else 200)
            self.send_header("ETag", tag)
            if start:
                self.send_header("Content-Range", f"bytes {start}-/{len(content)}")
            if web.lengths:
                self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            body = content[start:]
            self.wfile.write(body[: web.breaks.pop(0)] if web.breaks else body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(resuming, "_FIRST_WAIT", 0.001)
    found = Web()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(found))
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryFileSystem]:
    """An object store, in memory, which as S3 does creates an object for one publisher only."""
    pipe_file, one_at_a_time = MemoryFileSystem.pipe_file, threading.Lock()

    def pipe_file_alone(*args, **kwargs):
        """Look whether an object is there, and create it, in one: memory by itself does not."""
        with one_at_a_time:
            pipe_file(*args, **kwargs)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", pipe_file_alone)
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cache, which is not there yet."""
    monkeypatch.setenv("STILLHOUSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def make_set(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a distilled set; another seed gives another one."""

    def make(
        seed: int = 0, *, method: str = "kip", steps: int = 7, transform: str = "none"
    ) -> Path:
        rng = np.random.default_rng(seed)
        labels = np.arange(30) % 3
        raw = rng.integers(0, 255, (30, 5, 4, 1)).astype(np.uint8)
        dataset = dataset_from_arrays(raw, labels, name="spots", class_names=["a", "b", "c"])
        fitted = fit_transform(transform, dataset.x_train)
        config = {"dataset": "spots.npz", "learn_labels": True, "augment": False}
        card = Card(
            method=method,
            kernel=json.loads(KernelSpec(fc(1)).to_json()),
            config=config | {"steps": steps},
            seed=seed,
            dataset=dataset.info(),
            scores={"test_accuracy": 0.9 + seed / 1000, "test_mse": 0.0123},
        )
        images, y = fitted.apply(dataset.x_train[:6]), centred_one_hot(labels[:6], 3)
        path = tmp_path / f"set-{method}-{transform}-{seed}-{steps}.npz"
        save_distilled(path, DistilledSet(images, y, fitted, card))
        return path

    return make


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """Return a context in which no file can grow beyond so many bytes."""

    @contextlib.contextmanager
    def limited(free: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (free, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited
