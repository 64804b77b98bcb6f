"""The token that a server and its workers share: who has it may call.

It is made at the start of a run, into a file that only its owner reads, and stays the same where
the run is started again, so that its workers find it back.
"""

import hmac
import os
import secrets
import string

# Where a cluster hands secrets out as variables: the token itself.
VARIABLE = "STILLHOUSE_TOKEN"
_FEWEST, _MOST = 16, 512
# What may stand in a header, and in no shell's way.
_CHARACTERS = frozenset(string.ascii_letters + string.digits + "-._~+/=")


def given_token() -> str | None:
    """Return the token of the environment; None where there is none.

    Raises:
        ValueError: if it is of no use.
    """
    value = os.environ.get(VARIABLE)
    return None if value is None else _checked(value, f"the variable {VARIABLE}")


def read_token(file: str | os.PathLike[str]) -> str | None:
    """Return the token in a file; None where there is no such file, or nothing in it yet.

    Raises:
        ValueError: if what is in it is of no use.
        OSError: if it cannot be read.
    """
    try:
        with open(file, encoding="ascii", errors="replace") as stream:
            text = stream.read(_MOST + 2)
    except FileNotFoundError:
        return None
    return _checked(text, os.fspath(file)) if text else None


def make_token(file: str | os.PathLike[str]) -> str:
    """Return the token in a file, which is made for its owner alone where there is none.

    Raises:
        ValueError: if what is in the file is of no use.
        OSError: if it cannot be written.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+", encoding="ascii", errors="replace") as stream:
        if text := stream.read(_MOST + 2):
            return _checked(text, os.fspath(file))
        os.fchmod(descriptor, 0o600)
        token = secrets.token_urlsafe(32)
        stream.write(token + "\n")
    return token


def same(token: str | bytes, other: str) -> bool:
    """Return whether two tokens are one, in a time that does not tell how far they agree."""
    ours = token.encode(errors="replace") if isinstance(token, str) else token
    return hmac.compare_digest(ours, other.encode())


def _checked(text: str, where: str) -> str:
    token = text.strip()
    if not _FEWEST <= len(token) <= _MOST or not _CHARACTERS.issuperset(token):
        raise ValueError(
            f"{where} holds no token: {_FEWEST} to {_MOST} letters, digits and -._~+/= are "
            "expected, as `openssl rand -hex 32` prints them"
        )
    return token
