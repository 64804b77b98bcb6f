"""The server's facade over Courier, for workers of any host."""

import contextlib
from collections.abc import Iterator
from typing import Any

from stillhouse.launch.engines.addresses import check_port
from stillhouse.launch.engines.guard import answering, import_courier

# What a worker, and `stillhouse status`, may ask for; nothing else of the object is reachable.
METHODS = ("register", "lease", "fetch", "complete", "fail", "heartbeat", "leave", "status")


@contextlib.contextmanager
def serve_courier(service: Any, port: int) -> Iterator[None]:
    """Let workers call the facade while entered.

    Courier listens on all interfaces of the machine, has no encryption and asks nobody who they
    are: keep the port inside a private network. An object that would run code when it is read is
    refused before it is; what the facade then gets, it checks.

    Args:
        service: a `Service`, whose `METHODS` are called in threads of Courier's.
        port: where.

    Raises:
        ValueError: if another process listens there, or Courier is not installed.
    """
    courier = import_courier()
    check_port(port)  # Courier's own error comes with a page of gRPC's words.
    server = courier.Server("stillhouse", port=port)
    for name in METHODS:
        server.Bind(name, answering(getattr(service, name)))
    try:
        server.Start()
    except Exception as error:
        raise ValueError(f"cannot listen at port {port} ({error})") from error
    try:
        yield
    finally:
        server.Stop()
        server.Join()
