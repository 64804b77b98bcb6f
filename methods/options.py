"""Fields of a configuration that are command line flags too."""

import dataclasses
import math
import numbers
import types
import typing
from collections.abc import Callable, Collection
from typing import Any


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


def not_negative(value: float) -> str | None:
    """Check that a number is finite and not below zero."""
    return None if math.isfinite(value) and value >= 0 else "zero or a positive number"


def changed(settings: Any, *names: str) -> dict[str, Any]:
    """Return those of the named settings that are not as they are by default.

    For what an `identity` says only where it was asked for: runs of before go on.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(settings)}
    values = {name: getattr(settings, name) for name in names}
    return {name: value for name, value in values.items() if value != defaults[name]}


# What a value must be, and which abstract numbers, those of NumPy among them, are turned into it.
_EXPECTED = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple: "a sequence of texts",
}


_PATHS = ("out", "to", "hub")


def _kinds(hint: Any) -> tuple[type, ...]:
    """Return the types that a hint allows: `(int, NoneType)` of `int | None`."""
    parts = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return tuple(typing.get_origin(part) or part for part in parts)


def _of_kind(name: str, value: Any, kinds: tuple[type, ...]) -> Any:
    """Return a value as the type it must have; a scalar of NumPy is a number as any other.

    Raises:
        ValueError: naming the setting, if it is of another type.
    """
    is_flag = isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")
    for kind in kinds:
        if kind is bool and is_flag:
            return bool(value)
        if kind is int and isinstance(value, numbers.Integral) and not is_flag:
            return int(value)
        if kind is float and isinstance(value, numbers.Real) and not is_flag:
            return float(value)
        if kind is str and isinstance(value, str):
            return str(value)
        if kind is tuple and isinstance(value, tuple | list):
            return tuple(value)
    expected = " or ".join(_EXPECTED[kind] for kind in kinds if kind in _EXPECTED)
    raise ValueError(f"`--{name}` must be {expected}, got {value!r}")


class Checked:
    """A dataclass whose fields are checked by what their `option` says."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if not field.metadata:
                continue
            kinds = _kinds(hints[field.name])
            if value is None and type(None) in kinds:
                continue
            value = _of_kind(field.name, value, kinds)
            if value == "" and field.name in _PATHS:
                raise ValueError(f"`--{field.name}` must be a path, got nothing")
            object.__setattr__(self, field.name, value)
            choices, check = field.metadata["choices"], field.metadata["check"]
            if choices and value not in choices:
                raise ValueError(
                    f"`--{field.name}` must be one of {', '.join(choices)}, got {value!r}"
                )
            expected = check(value) if check else None
            if expected:
                raise ValueError(f"`--{field.name}` must be {expected}, got {value!r}")
