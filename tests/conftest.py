"""How tests are compiled, and which run side by side where there are several processes."""

import contextlib
import gc
import itertools
import os
import random
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import scipy.linalg  # noqa: F401  (its linear algebra has threads of its own)
from threadpoolctl import threadpool_info, threadpool_limits

# A third of what tests take would be LLVM's optimisation of programs that then run once. Processes
# that a test starts inherit this, since other code may round otherwise; what is `fully_compiled` is
# as users have it.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

# Where a shell has started the tests in the background, they and all that they start would pass
# over Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A command sets how many threads its process has; here it is the process of many tests.
_PROCESSORS = os.environ.get("NPROC")
_THREADS = max(library["num_threads"] for library in threadpool_info())

_HERE = Path(__file__).parent
# These start processes of their own, and wait for their signs of life: one file after another.
_ALONE = _HERE / "launch" / "engines"
# They are what the others wait for in the end, who therefore leave the processors to them.
_NICE = 4
_BEGUN = itertools.count()  # tests of this process
# What takes longest begins first: what is left at the end is short, and no process waits for
# another. The second compiles loops that most of the others then find on disk.
_FIRST = (
    _ALONE,
    _HERE / "kernels" / "cuda" / "test_backend.py",
    _HERE / "kernels" / "xla" / "test_backend.py",
    _HERE / "launch" / "test_interruption.py",
    _HERE / "benchmarks" / "test_oracle.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest, where several processes share the files."""
    if config.pluginmanager.hasplugin("xdist"):
        items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    own = (item.path, *item.path.parents)
    return next((rank for rank, path in enumerate(_FIRST) if path in own), len(_FIRST))


def _is_alone(path: Path) -> bool:
    return _ALONE in path.parents


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a file together, which share what they compile."""
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return "engines" if _is_alone(config.rootpath / path) else path

    return Files(config, log)


@pytest.hookimpl(hookwrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect no garbage among what lasts, and less often: tracing a program makes none.

    By Python's own settings that is a fifth of what most tests take.
    """
    gc.disable()
    yield
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 10)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Have a process that does not begin with engines leave the processors to the one that does."""
    first = next(_BEGUN) == 0
    if first and "PYTEST_XDIST_WORKER" in os.environ and not _is_alone(item.path):
        os.nice(_NICE)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Give the threads back that a command in this process has taken for itself."""
    yield
    if os.environ.get("NPROC") != _PROCESSORS:
        os.environ.pop("NPROC")
        if _PROCESSORS is not None:
            os.environ["NPROC"] = _PROCESSORS
        threadpool_limits(_THREADS)


@pytest.fixture(scope="session")
def ports() -> Iterator[int]:
    """Ports one after another: above Ray's, below those that a system gives to whoever connects.

    One of the system's may be somebody's by the time that a server of a test begins there.
    """
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = range(20_000 + 2_000 * number, 22_000 + 2_000 * number)
    return itertools.islice(itertools.cycle(own), random.Random().randrange(len(own)), None)


@pytest.fixture
def port(ports: Iterator[int]) -> int:
    """A port at which nobody listens."""
    while True:
        port = next(ports)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("", port))
            return port
