"""Fields of a configuration that are command line flags too."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any


def option(
    default: Any,
    help: str,
    *,
    choices: Sequence[str] | None = None,
    check: Callable[[Any], str | None] | None = None,
) -> Any:
    """Declare a field that is a flag.

    Args:
        default: what the setting is where the flag is not given.
        help: one line for `--help`; it must say what None means where that is the default.
        choices: the values allowed; any where None.
        check: gives what was expected of a value that is wrong, None for a right one.
    """
    metadata = {"help": help, "choices": tuple(choices) if choices else None, "check": check}
    return dataclasses.field(default=default, metadata=metadata)


def at_least(low: int) -> Callable[[Any], str | None]:
    """Return a check that a number is no less than `low`."""
    return lambda value: None if value >= low else f"a whole number, {low} or more"


def positive(value: float) -> str | None:
    """Check that a number is finite and above zero."""
    return None if math.isfinite(value) and value > 0 else "a positive number"


def not_negative(value: float) -> str | None:
    """Check that a number is finite and not below zero."""
    return None if math.isfinite(value) and value >= 0 else "zero or a positive number"


class Checked:
    """A dataclass whose fields are checked by what their `option` says."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if value is None or not field.metadata:
                continue
            choices, check = field.metadata["choices"], field.metadata["check"]
            if choices and value not in choices:
                raise ValueError(
                    f"`--{field.name}` must be one of {', '.join(choices)}, got {value!r}"
                )
            expected = check(value) if check else None
            if expected:
                raise ValueError(f"`--{field.name}` must be {expected}, got {value!r}")
