"""What stands between Courier and who would have it run code.

Courier builds any object that a message describes, by importing the module of its class and calling
it, before anybody sees the message. So whoever can reach the port could run what they like. The
objects that we send are numbers, strings, bytes, lists and dicts, for which nothing is imported;
hence no message needs an import, and one that asks for it is refused.

Courier itself needs one import, of `traceback`, to tell a client of an error in a handler, and ends
the process by SIGSEGV where it does not get it. An attacker could put that module to use too, so it
is refused with the others, and no handler may raise: see `answering`.

This is a second line of defence. The first is a private network.
"""

import builtins
import contextlib
import functools
import importlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

_LOGGER = logging.getLogger(__name__)
_LOCK = threading.Lock()
_thread = threading.local()


def install() -> None:
    """Refuse, from now on, the imports that messages ask for; once or several times.

    A server reads messages in threads of Courier's, where no Python function is being executed;
    an import statement always belongs to one. Both what is imported and what is loaded already are
    refused to them: `os.system` is loaded in every process.
    """
    with _LOCK:
        if getattr(builtins.__import__, "guards", False):
            return
        builtins.__import__ = _guarded(builtins.__import__)


@contextlib.contextmanager
def data_only() -> Iterator[None]:
    """Refuse every import of this thread, while a client reads an answer.

    Unlike a server it does so where a Python function has called it.
    """
    _thread.reads = True
    try:
        yield
    finally:
        _thread.reads = False


def answering(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return a handler for Courier that never raises: an error becomes the answer "refused".

    So does a call with other arguments than the handler takes, which anybody can make.
    """

    @functools.wraps(handler)
    def answer(*arguments: Any, **keywords: Any) -> Any:
        try:
            return handler(*arguments, **keywords)
        except Exception as error:
            _LOGGER.warning("a call of %s failed: %r", handler.__name__, error)
            return {"status": "refused", "reason": f"{type(error).__name__}: {error}"}

    return answer


def import_courier() -> ModuleType:
    """Return Courier, behind the guard.

    Raises:
        ValueError: if it is not installed, or cannot be.
    """
    try:
        courier = importlib.import_module("courier")
    except ImportError as error:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        if sys.version_info >= (3, 11):
            remedy = (
                f"it exists for Python 3.10 only, and this is {version}; use Python 3.10, or "
                "distill with --engine=ray or --engine=local"
            )
        else:
            remedy = "pip install 'stillhouse[launchpad]'"
        raise ValueError(
            f"workers and their server talk by Courier, which is missing here ({error}): {remedy}"
        ) from error
    install()
    return courier


def _guarded(original: Any) -> Any:
    @functools.wraps(original)
    def guarded_import(name: str, *arguments: Any, **keywords: Any) -> Any:
        if getattr(_thread, "reads", False) or not _called_by_python():
            raise ImportError(f"refused to import {name!r} for a message", name=name)
        return original(name, *arguments, **keywords)

    guarded_import.guards = True  # type: ignore[attr-defined]
    return guarded_import


def _called_by_python() -> bool:
    try:
        sys._getframe(2)
    except ValueError:
        return False
    return True
