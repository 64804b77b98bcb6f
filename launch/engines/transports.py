"""What carries calls between a server and its workers, as settings have it."""

import contextlib
import dataclasses
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from absl import logging

from stillhouse.launch.engines.addresses import check_address, check_port, parse_address
from stillhouse.launch.engines.courier_client import CourierServer
from stillhouse.launch.engines.courier_server import serve_courier
from stillhouse.launch.engines.grpc_client import GrpcServer
from stillhouse.launch.engines.grpc_server import import_grpc, serve_grpc
from stillhouse.launch.engines.guard import import_courier
from stillhouse.launch.engines.tls import Tls
from stillhouse.launch.engines.tokens import VARIABLE, given_token, make_token, read_token
from stillhouse.launch.settings.transport import TransportConfig
from stillhouse.server.run_folder import RunFolder
from stillhouse.server.service import Service

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def connect(
    address: str,
    config: TransportConfig,
    *,
    timeout: float = 20.0,
    should_stop: Callable[[], bool] = lambda: False,
) -> CourierServer | GrpcServer:
    """Return the server at an address.

    Args:
        address: its host and port.
        config: how to talk to it.
        timeout: seconds after which a call has failed.
        should_stop: polled while a call waits for tasks.

    Raises:
        ValueError: if the settings are wrong, or what they need is not installed.
    """
    if config.transport == "courier":
        return CourierServer(address, timeout=timeout)
    return GrpcServer(
        address,
        timeout=timeout,
        token_file=config.token_file,
        tls=_tls(config),
        should_stop=should_stop,
    )


@dataclasses.dataclass(frozen=True)
class Listening:
    """Where and how a server listens.

    Attributes:
        address: host and port.
        config: how to talk there.
        folder: of the run, where the token is kept if nothing else is said.
    """

    address: str
    config: TransportConfig
    folder: Path

    @contextlib.contextmanager
    def __call__(self, service: Service) -> Iterator[None]:
        """Let workers call while entered, and say how they do.

        Raises:
            ValueError: if nothing can listen there, or a file is of no use.
            OSError: if the token cannot be read or written.
        """
        if self.config.transport == "courier":
            _, port = parse_address(self.address, "address")
            with serve_courier(service, port):
                logging.info("the server listens at port %d, on all interfaces, by Courier", port)
                yield
            return
        tls = _tls(self.config)
        with self._token() as (token, hint):
            with serve_grpc(service, self.address, token=token, tls=tls):
                flags = f"--server={_as_seen_from_elsewhere(self.address)}{hint}"
                flags += " --tls_authority=..." if tls else ""
                logging.info("the server listens: stillhouse worker, or status, %s", flags)
                if tls is None and parse_address(self.address, "address")[0] not in _LOOPBACK:
                    logging.info(
                        "without --tls_certificate whoever reads the network reads images and token"
                    )
                yield

    @contextlib.contextmanager
    def _token(self) -> Iterator[tuple[str, str]]:
        """Give the token, and how to give it to workers."""
        file = self.config.token_file
        if file is None and (token := given_token()) is not None:
            yield token, f", with the variable {VARIABLE}"
            return
        if file is not None:
            yield make_token(file), f" --token_file={os.path.abspath(file)}"
            return
        path = RunFolder(self.folder).token.absolute()
        missing = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
        was_there = path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield make_token(path), f" --token_file={path}"
        finally:
            # Of a run that did not come to be nothing stays.
            if not was_there and os.listdir(path.parent) == [path.name]:
                path.unlink(missing_ok=True)
                for folder in missing:
                    with contextlib.suppress(OSError):
                        folder.rmdir()


def _as_seen_from_elsewhere(address: str) -> str:
    """Return an address of all interfaces by the name of this machine."""
    host, port = parse_address(address, "address")
    return f"{socket.gethostname()}:{port}" if host in ("0.0.0.0", "[::]") else address


def check_listening(address: str, config: TransportConfig) -> None:
    """Check all that can be wrong before anything is made.

    Raises:
        ValueError: if nothing can listen there, a file is of no use, or something is not installed.
        OSError: if the token cannot be read.
    """
    _, port = parse_address(address, "address")
    if config.transport == "courier":
        import_courier()
        check_port(port)
        return
    import_grpc()
    tls = _tls(config)
    if tls is not None:
        tls.check(server=True)
    if config.token_file is None:
        given_token()
    else:
        folder = Path(config.token_file).absolute().parent
        if read_token(config.token_file) is None and not os.access(folder, os.W_OK | os.X_OK):
            raise ValueError(f"`--token_file`: no token can be made in {folder}")
    check_address(address)


def _tls(config: TransportConfig) -> Tls | None:
    files = config.tls_certificate, config.tls_key, config.tls_authority
    return Tls(*files) if any(files) else None
