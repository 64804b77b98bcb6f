"""The programs by name. A program of your own joins them by `register`, wherever it is needed."""

import functools
import json
from collections.abc import Callable
from typing import TypeVar

from stillhouse.data.records import from_plain, to_plain
from stillhouse.methods.programs.program import Program

P = TypeVar("P", bound=type[Program])

_PROGRAMS: dict[str, type[Program]] = {}


def register(name: str) -> Callable[[P], P]:
    """Let a program, a frozen dataclass, be known by a name; server and workers must both know it.

    Raises:
        ValueError: if another program has the name.
    """

    def known(program: P) -> P:
        if _PROGRAMS.setdefault(name, program) is not program:
            raise ValueError(f"there is a program {name!r} already: {_PROGRAMS[name].__qualname__}")
        program.name = name
        return program

    return known


@functools.lru_cache(maxsize=256)
def program_to_json(program: Program) -> str:
    """Return a program as one line of JSON: its name and settings.

    Made once for equal programs: writing it takes longer than all else in an answer to a worker.
    """
    entries = {"program": program.name, **to_plain(program)}
    return json.dumps(entries, allow_nan=False, separators=(",", ":"))


@functools.lru_cache(maxsize=256)
def program_from_json(text: str) -> Program:
    """Return the program that `program_to_json` wrote.

    Raises:
        ValueError: if it is none, or none of those known here.
    """
    try:
        entries = json.loads(text)
        name = entries.pop("program")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"no program: {text!r:.200} ({error})") from error
    if not isinstance(name, str) or name not in _PROGRAMS:
        raise ValueError(f"no program {name!r:.100} is known here, only {', '.join(_PROGRAMS)}")
    return from_plain(_PROGRAMS[name], entries)
