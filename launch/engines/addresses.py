"""Where a server listens, and where its workers look for it."""

import contextlib
import socket


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
    """Check that a server can listen at the port, on all interfaces.

    Raises:
        ValueError: if another process does.
    """
    _try_to_listen(socket.AF_INET, ("", port), f"port {port}", "end what is there, or give another")


def check_address(address: str) -> None:
    """Check that a server can listen at an address of this machine.

    Raises:
        ValueError: if it is none, not one of this machine's, or another process listens there.
    """
    host, port = parse_address(address, "address")
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ValueError(
            f"cannot listen at {address} ({error.strerror or error}): `--address` must name this "
            "machine, such as localhost:18400, or 0.0.0.0:18400 for all of its interfaces"
        ) from error
    advice = "end what is there, or give another"
    for family, *_, where in found:
        _try_to_listen(family, where, f"{address}, port {port}", advice)


def _try_to_listen(family: int, where: tuple, what: str, advice: str) -> None:
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        return  # A machine without IPv6 has names that resolve to it.
    with contextlib.closing(listener):
        # As the server itself does: connections of one that was killed may linger.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(where)
            # Two sockets with that option may both be bound, but not both listen.
            listener.listen(1)
        except OSError as error:
            raise ValueError(
                f"cannot listen at {what} ({error.strerror}); {advice} --address"
            ) from error
