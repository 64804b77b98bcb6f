"""What workers may send, and refusals of everything else.

Whoever reaches the port can send anything that the transport can carry.
"""

import functools
import inspect
import logging
import math
from collections.abc import Callable
from typing import Any, TypeVar

# Ids, hashes and names are shorter; a reason is cut.
_LONGEST_NAME = 256
_LONGEST_REASON = 2000

_log = logging.getLogger(__name__)
Answer = dict[str, Any]
Method = TypeVar("Method", bound=Callable[..., Answer])


class Refusal(ValueError):
    """What is wrong with a request."""


def answers(method: Method) -> Method:
    """Make a method of a service answer to all arguments, and never raise."""
    signature = inspect.signature(method)
    names = list(signature.parameters)[1:]

    @functools.wraps(method)
    def answer(self: Any, /, *args: Any, **kwargs: Any) -> Answer:
        if kwargs or len(args) != len(names):
            try:
                args = signature.bind(self, *args, **kwargs).args[1:]
            except TypeError:
                return refused(f"`{method.__name__}` takes ({', '.join(names)})")
        try:
            return method(self, *args)
        except Refusal as refusal:
            return refused(str(refusal))
        except Exception:
            # A mistake of ours must not reach a worker as a traceback, nor end the server.
            _log.exception("`%s` failed", method.__name__)
            return refused(f"the server failed in `{method.__name__}`; its log says why")

    return answer  # type: ignore[return-value]


def refused(reason: str) -> Answer:
    """Return the answer to a request that is none."""
    return {"status": "refused", "reason": reason}


def name(argument: str, value: Any) -> str:
    """Return a short printable text: an id, a hash, a host.

    Raises:
        Refusal: if it is something else.
    """
    if type(value) is not str or len(value) > _LONGEST_NAME or not value.isprintable():
        raise Refusal(
            f"`{argument}` must be a printable str of at most {_LONGEST_NAME} characters, got "
            f"{_brief(value)}"
        )
    return value


def reason(argument: str, value: Any) -> str:
    """Return a text of any length as one printable line of a bounded one.

    Raises:
        Refusal: if it is no text.
    """
    if type(value) is not str:
        raise Refusal(f"`{argument}` must be a str, got {_brief(value)}")
    words = "".join(c if c.isprintable() else " " for c in value[:_LONGEST_REASON]).split()
    return " ".join(words)


def count(argument: str, value: Any, most: int) -> int:
    """Return a whole number from 0 to `most`.

    Raises:
        Refusal: if it is something else.
    """
    if type(value) is not int or not 0 <= value <= most:
        raise Refusal(f"`{argument}` must be an int from 0 to {most:,}, got {_brief(value)}")
    return value


def seconds(argument: str, value: Any) -> float:
    """Return a time span.

    Raises:
        Refusal: if it is something else.
    """
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise Refusal(f"`{argument}` must be a float of at least 0, got {_brief(value)}")
    return float(value)


def names(argument: str, value: Any, most: int) -> list[str]:
    """Return a list of at most so many short texts.

    Raises:
        Refusal: if it is something else.
    """
    return [name(argument, item) for item in _list(argument, value, most)]


def chunks(argument: str, value: Any, most: int) -> list[bytes]:
    """Return a list of at most so many bytes.

    Raises:
        Refusal: if it is something else.
    """
    for item in _list(argument, value, most):
        if type(item) is not bytes:
            raise Refusal(f"`{argument}` must hold bytes, got {_brief(item)}")
    return value


def table(argument: str, value: Any) -> dict[Any, Any]:
    """Return a dict.

    Raises:
        Refusal: if it is something else.
    """
    if type(value) is not dict:
        raise Refusal(f"`{argument}` must be a dict, got {_brief(value)}")
    return value


def choice(argument: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return one of some texts.

    Raises:
        Refusal: if it is something else.
    """
    if type(value) is not str or value not in choices:
        raise Refusal(f"`{argument}` must be one of {', '.join(choices)}, got {_brief(value)}")
    return value


def _list(argument: str, value: Any, most: int) -> list[Any]:
    if type(value) is not list or len(value) > most:
        raise Refusal(f"`{argument}` must be a list of at most {most}, got {_brief(value)}")
    return value


def _brief(value: Any) -> str:
    """Say what a value is, running none of its code."""
    if type(value) is str:
        return f"a str of {len(value)}" if len(value) > 40 else ascii(value)
    if type(value) in (bool, int, float, type(None)):
        small = type(value) is not int or abs(value) < 2**63
        return ascii(value) if small else "a huge int"
    if type(value) in (list, dict, bytes):
        return f"{type(value).__name__} of {len(value)}"
    return ascii(type(value).__name__)
