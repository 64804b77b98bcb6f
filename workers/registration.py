"""What a worker says of itself when it registers."""

import os
import socket
from typing import Any

from stillhouse import __version__
from stillhouse.kernels.threads import default_threads
from stillhouse.methods.bit_traits import bit_traits
from stillhouse.methods.device_kind import device_kind, processor
from stillhouse.methods.tasks import PROTOCOL


def registration(device: str, threads: int | None, backend: str | None) -> dict[str, Any]:
    """Return what the server's `register` takes.

    Args:
        device: what computes, "cpu" or "gpu:0" and so on; JAX has been told before.
        threads: how many threads a program may use; None for the default.
        backend: the name of the backend that computes; None for the run's.
    """
    return {
        "version": __version__,
        "protocol": PROTOCOL,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "device": device,
        "device_kind": device_kind(device),
        "processor": processor(),
        "traits": bit_traits(device),
        "backend": backend or "",
        "threads": threads or default_threads(),
        "config_hash": "",
    }
