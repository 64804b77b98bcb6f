"""What a worker of the Launchpad program does, in a process of its own.

Nothing here knows of datasets, methods or pictures: a worker starts in half the time without.
"""

import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from stillhouse.launch.devices import use_device
from stillhouse.launch.engines.addresses import parse_address
from stillhouse.launch.engines.courier_client import CourierServer
from stillhouse.launch.engines.processes import end_with_parent
from stillhouse.launch.errors import BAD_INPUT, STOPPED
from stillhouse.launch.logs import start_logging
from stillhouse.launch.signals import end_now
from stillhouse.workers.cache import default_capacity
from stillhouse.workers.loop import Refused, work

_POLL_SECONDS = 0.1


def run_worker(server: Any, launcher: int, device: str, threads: int, workers: int) -> None:
    """Be a worker of the server until there is nothing more to do.

    Args:
        server: a `courier.Client` of it.
        launcher: the process that starts the nodes.
        device: what computes.
        threads: how many it may use of the processor.
        workers: how many share this machine's memory.
    """
    with as_node(launcher) as stopped:
        use_device(device, threads)
        _wait_for(server.address, stopped)
        try:
            # A server that has gone comes back, or the launcher ends all.
            done = work(
                CourierServer(server.address),
                device=device,
                threads=threads,
                cache_bytes=default_capacity(workers),
                should_stop=stopped.is_set,
            )
        except Refused as error:
            print(f"stillhouse distill: error: {error}", file=sys.stderr)
            sys.exit(BAD_INPUT)
        code = STOPPED if done.end == "quarantined" else 0
        if done.abandoned:
            end_now(code)
        sys.exit(code)  # Another one is started in place of one that was set aside.


@contextlib.contextmanager
def as_node(launcher: int) -> Iterator[threading.Event]:
    """Give the event that SIGTERM sets; the end of the launcher is the end of this process.

    Args:
        launcher: the process that starts the nodes.
    """
    end_with_parent(launcher)
    start_logging()
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    # Launchpad's own handler writes to the terminal, and kills after ten seconds.
    signal.signal(signal.SIGTERM, stop)
    yield stopped


def _wait_for(address: str, stopped: threading.Event) -> None:
    """Wait until somebody listens; a worker would ask ever less often, and say so."""
    while not stopped.wait(_POLL_SECONDS):
        with contextlib.suppress(OSError):
            socket.create_connection(parse_address(address, "server"), timeout=1.0).close()
            return
