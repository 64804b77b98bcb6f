"""The settings by which a server and its workers talk."""

import dataclasses
import os

from stillhouse.methods.options import Checked, option

TRANSPORTS = ("grpc", "courier")


@dataclasses.dataclass(frozen=True)
class TransportConfig(Checked):
    """Transport.

    Attributes:
        transport: what carries calls.
        token_file: the file with the token that a caller must know; None for the variable
            `STILLHOUSE_TOKEN`, and at the server then for `token` in the run folder.
        tls_certificate: a file with one's own certificate; None for none.
        tls_key: a file with its private key.
        tls_authority: a file with the certificates of who signs the other side's; None for none.
    """

    transport: str = option(
        "grpc",
        "what carries calls, the same on both sides; courier, for Python 3.10, knows neither "
        "tokens nor TLS",
        choices=TRANSPORTS,
    )
    token_file: str | None = option(
        None,
        "the file with the token that callers must know; a server makes it where there is none "
        "(default: the variable STILLHOUSE_TOKEN; else a server makes `token` in its run folder)",
    )
    tls_certificate: str | None = option(
        None, "file of one's own certificate, in PEM: a server with one is encrypted"
    )
    tls_key: str | None = option(None, "file of its private key")
    tls_authority: str | None = option(
        None,
        "file of the certificates that sign the other side's: a worker must have it to talk to an "
        "encrypted server, and a server with it wants certificates of its workers",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("token_file", "tls_certificate", "tls_key", "tls_authority"):
            file = getattr(self, name)
            if file is None:
                continue
            if self.transport == "courier":
                raise ValueError(
                    f"`--{name}` has no meaning with --transport=courier, which asks nobody who "
                    "they are; drop one of them"
                )
            object.__setattr__(self, name, os.path.expanduser(file))
