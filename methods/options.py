"""Fields of a configuration that are command line flags too."""

import dataclasses
import math
import typing
from collections.abc import Callable, Collection
from typing import Any

from stillhouse.data.arguments import kinds_of, of_kind, shown


def option(
    default: Any,
    help: str,
    *,
    choices: Collection[str] | None = None,
    check: Callable[[Any], str | None] | None = None,
) -> Any:
    """Declare a field that is a flag.

    Args:
        default: what the setting is where the flag is not given.
        help: one line for `--help`; it must say what None means where that is the default.
        choices: the values allowed, looked up when they are needed; any where None.
        check: gives what was expected of a value that is wrong, None for a right one.
    """
    metadata = {"help": help, "choices": choices or None, "check": check}
    return dataclasses.field(default=default, metadata=metadata)


def at_least(low: int) -> Callable[[Any], str | None]:
    """Return a check that a number is no less than `low`."""
    return lambda value: None if value >= low else f"a whole number, {low} or more"


def positive(value: float) -> str | None:
    """Check that a number is finite and above zero."""
    return None if math.isfinite(value) and value > 0 else "a positive number"


def seconds(value: float) -> str | None:
    """Check that a number is a time."""
    return None if math.isfinite(value) and value > 0 else "a time of more than 0 seconds"


def share(value: float) -> str | None:
    """Check that a number is a share of something."""
    return None if 0 <= value <= 1 else "a share from 0 to 1"


def not_negative(value: float) -> str | None:
    """Check that a number is finite and not below zero."""
    return None if math.isfinite(value) and value >= 0 else "zero or a positive number"


def changed(settings: Any, *names: str) -> dict[str, Any]:
    """Return those of the named settings that are not as they are by default, as JSON has them.

    For what an `identity` says only where it was asked for: runs of before go on.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(settings)}
    values = {name: getattr(settings, name) for name in names}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value != defaults[name]
    }


class Checked:
    """A dataclass whose fields are checked by what their `option` says."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if not field.metadata:
                continue
            kinds = kinds_of(hints[field.name])
            if value is None and type(None) in kinds:
                continue
            choices, check = field.metadata["choices"], field.metadata["check"]
            if choices and (not isinstance(value, str) or value not in choices):
                raise ValueError(
                    f"`--{field.name}` must be one of {', '.join(choices)}, got {shown(value)}"
                )
            value = of_kind(f"`--{field.name}`", value, kinds)
            if value == "":
                raise ValueError(f"`--{field.name}` is empty: give a value, or drop it")
            object.__setattr__(self, field.name, value)
            expected = check(value) if check else None
            if expected:
                raise ValueError(f"`--{field.name}` must be {expected}, got {shown(value)}")
