"""Certificates by files: who a server is, and where wanted who its callers are."""

import contextlib
import dataclasses
import os
import socket
import ssl
from typing import Any

from stillhouse.launch.engines.addresses import parse_address

_PROBE_SECONDS = 3.0
# What HTTP/2 begins with on either side: the client's preface with its settings, and a frame of
# this type.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS = 4
_DATES = {9: "is not valid yet", 10: "has expired"}  # OpenSSL's numbers.


@dataclasses.dataclass(frozen=True)
class Tls:
    """The files of one side of an encrypted connection, in PEM.

    Attributes:
        certificate: one's own certificate, and those up to its authority's.
        key: its private key.
        authority: the certificates of those who sign the other side's.
    """

    certificate: str | None = None
    key: str | None = None
    authority: str | None = None

    def check(self, *, server: bool) -> None:
        """Check that the files are there, can be read, and belong together.

        Raises:
            ValueError: if not.
        """
        if (self.certificate is None) != (self.key is None):
            raise ValueError("`--tls_certificate` and `--tls_key` belong together: give both")
        if server and self.certificate is None:
            raise ValueError(
                "`--tls_authority` has a server ask its callers for certificates, for which it "
                "needs its own: give --tls_certificate and --tls_key"
            )
        if not server and self.authority is None:
            raise ValueError(
                "`--tls_certificate` needs `--tls_authority` here, the certificate of who signed "
                "the server's"
            )
        self._context(server=server)
        if self.certificate is not None:
            self._check_dates()

    def of_server(self) -> Any:
        """Return them as gRPC's server takes them.

        Raises:
            ValueError: if they are of no use.
        """
        import grpc

        self.check(server=True)
        authority = None if self.authority is None else _read(self.authority, "tls_authority")
        pair = _read(self.key, "tls_key"), _read(self.certificate, "tls_certificate")
        return grpc.ssl_server_credentials([pair], authority, authority is not None)

    def of_client(self) -> Any:
        """Return them as gRPC's client takes them.

        Raises:
            ValueError: if they are of no use.
        """
        import grpc

        self.check(server=False)
        if self.certificate is None:
            return grpc.ssl_channel_credentials(_read(self.authority, "tls_authority"))
        return grpc.ssl_channel_credentials(
            _read(self.authority, "tls_authority"),
            _read(self.key, "tls_key"),
            _read(self.certificate, "tls_certificate"),
        )

    def _check_dates(self) -> None:
        """Check that our own certificate is valid now, by a handshake with ourselves.

        Raises:
            ValueError: if it is not.
        """
        checking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        checking.check_hostname = False
        # Whoever signed it is for the other side to know.
        checking.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        checking.load_verify_locations(self.certificate)
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        showing = dataclasses.replace(self, authority=None)._context(server=True)
        sides = checking.wrap_bio(back, there), showing.wrap_bio(there, back, server_side=True)
        for _ in range(2):
            for side in sides:
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                except ssl.SSLCertVerificationError as error:
                    if words := _DATES.get(error.verify_code):
                        raise ValueError(
                            f"`--tls_certificate`: {self.certificate} {words}"
                        ) from error
                    return

    def _context(self, *, server: bool) -> ssl.SSLContext:
        """Return them as Python's own library takes them, which says what is wrong with a file."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["h2"])
        if self.authority is not None:
            _read(self.authority, "tls_authority")
            try:
                context.load_verify_locations(self.authority)
            except ssl.SSLError as error:
                raise ValueError(
                    f"`--tls_authority`: {self.authority} holds no certificate in PEM"
                ) from error
        if self.certificate is not None and self.key is not None:
            _read(self.certificate, "tls_certificate")
            _read(self.key, "tls_key")
            try:
                # Nobody is there to be asked for a password.
                context.load_cert_chain(self.certificate, self.key, password="")
            except (ssl.SSLError, ValueError) as error:
                raise ValueError(
                    f"`--tls_certificate` {self.certificate} and `--tls_key` {self.key} are no "
                    "certificate and its private key, in PEM and without a password"
                ) from error
        return context


def trouble_at(address: str, tls: Tls | None) -> str | None:
    """Return why a server that is there cannot be talked to; None where it can, or is not there.

    gRPC says of a handshake that failed no more than that it did. So it is made once more.

    Args:
        address: of the server.
        tls: how it is to be talked to; None without encryption.
    """
    host, port = parse_address(address, "server")
    with contextlib.suppress(OSError):
        with socket.create_connection((host.strip("[]"), port), _PROBE_SECONDS) as connection:
            if tls is None:
                return _plain_trouble(connection)
            return _tls_trouble(connection, host.strip("[]"), tls)
    return None


def _plain_trouble(connection: socket.socket) -> str | None:
    connection.sendall(_PREFACE)
    begin = _first_bytes(connection)
    if len(begin) > 3 and begin[3] == _SETTINGS and not begin.startswith(b"HTTP"):
        return None
    if begin[:2] == b"\x15\x03" or (not begin and _speaks_tls(connection.getpeername())):
        return "it wants TLS: give --tls_authority"
    return "it speaks another protocol" if begin else None


def _speaks_tls(where: Any) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with contextlib.suppress(OSError):
        with socket.create_connection(where[:2], _PROBE_SECONDS) as connection:
            with context.wrap_socket(connection):
                return True
    return False


def _tls_trouble(connection: socket.socket, host: str, tls: Tls) -> str | None:
    try:
        with tls._context(server=False).wrap_socket(connection, server_hostname=host) as wrapped:
            wrapped.sendall(_PREFACE)
            # With TLS 1.3 only now does a server say what it thinks of our certificate.
            if _first_bytes(wrapped):
                return None
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is refused: {error.verify_message}"
    except ssl.SSLEOFError:
        return None  # It may just be ending.
    except ssl.SSLError as error:
        if "ALERT" in error.reason:
            return f"it refuses our certificate: {_in_words(error.reason)}"
        if error.reason == "WRONG_VERSION_NUMBER" or "HTTP" in error.reason:
            return "it speaks no TLS: leave --tls_authority out"
        return f"no TLS with it: {_in_words(error.reason)}"
    except ConnectionResetError:
        pass
    if tls.certificate is None:
        return "it wants a certificate of ours: give --tls_certificate and --tls_key"
    return "it refuses our certificate, or has just ended"


def _first_bytes(connection: socket.socket) -> bytes:
    begin = b""
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while len(begin) < 9 and (more := connection.recv(9 - len(begin))):
            begin += more
    return begin


def _in_words(reason: str) -> str:
    words = reason.lower().split("_")
    known = [word for word in words if not word.startswith(("tlsv", "sslv"))]
    return " ".join(word for word in known if word != "alert")


def _read(file: str | os.PathLike[str] | None, flag: str) -> bytes:
    assert file is not None, "it was checked"
    try:
        with open(file, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise ValueError(f"`--{flag}`: {os.fspath(file)}: {error.strerror}") from error
