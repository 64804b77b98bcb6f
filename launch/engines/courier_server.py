"""The server's facade over Courier, for workers of any host."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

from stillhouse.launch.engines.guard import answering, import_courier

# What a worker, and `stillhouse status`, may ask for; nothing else of the object is reachable.
METHODS = ("register", "lease", "fetch", "complete", "fail", "heartbeat", "leave", "status")


def parse_address(address: str, flag: str) -> tuple[str, int]:
    """Return host and port of an address.

    Args:
        address: such as `node1:18400`, `10.0.0.3:18400` or `[::1]:18400`.
        flag: the name of the setting, for the error.

    Raises:
        ValueError: if it is not one.
    """
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"`--{flag}` must be host:port, such as node1:18400, got {address!r}")
    return host, int(port)


def check_port(port: int) -> None:
    """Check that a server can listen at the port.

    Raises:
        ValueError: if another process does.
    """
    with socket.socket() as listener:
        # As the server itself does: connections of one that was killed may linger.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("", port))
            # Two sockets with that option may both be bound, but not both listen.
            listener.listen(1)
        except OSError as error:
            raise ValueError(
                f"cannot listen at port {port} ({error.strerror}); end what is there, or give "
                "another --address"
            ) from error


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
