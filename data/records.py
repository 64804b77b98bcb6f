"""Frozen dataclasses as plain JSON values and back, checked against their type hints.

A field is a number, a text, a bool, None, a `Literal`, a tuple, a JSON object (`Mapping`), another
dataclass, or an object of a class with `to_json` and `from_json`, such as `KernelSpec`.
"""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union

T = TypeVar("T")


def to_plain(record: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as values that JSON knows."""
    fields = dataclasses.fields(record)
    return {field.name: _plain(getattr(record, field.name)) for field in fields}


def from_plain(cls: type[T], entries: Any) -> T:
    """Return the dataclass of which `to_plain` gave the entries; fields left out have defaults.

    Raises:
        ValueError: if a field is missing, unknown or of another type, or the class refuses it.
    """
    what = cls.__name__
    if not isinstance(entries, Mapping):
        raise ValueError(f"{what} must be a JSON object, got {entries!r:.100}")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = [name for name in entries if name not in fields]
    if unknown:
        raise ValueError(f"{what} has no {unknown[0]!r}, only {', '.join(fields) or 'nothing'}")
    for name, field in fields.items():
        default = field.default is not dataclasses.MISSING
        if name not in entries and not default and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{what} lacks {name!r}")
    hints = typing.get_type_hints(cls)
    return cls(**{name: _read(hints[name], entries[name], f"{what}.{name}") for name in entries})


def _plain(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return json.loads(value.to_json())
    if dataclasses.is_dataclass(value):
        return to_plain(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return value


def _read(hint: Any, value: Any, name: str) -> Any:
    """Return a value as its type hint wants it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return _read_any(arguments, value, name)
    if origin is Literal:
        return _checked(value, value in arguments, name, f"one of {list(arguments)}")
    if origin is tuple:
        return _read_tuple(arguments, value, name)
    if isinstance(hint, type) and hasattr(hint, "from_json"):
        return hint.from_json(json.dumps(value))
    if dataclasses.is_dataclass(hint):
        return from_plain(hint, value)  # type: ignore[arg-type]
    if (origin or hint) in (Mapping, dict):
        return _checked(value, isinstance(value, Mapping), name, "a JSON object")
    if hint is float:
        right = type(value) in (int, float) and math.isfinite(value)
        return float(_checked(value, right, name, "a finite number"))
    if hint in (int, bool, str, type(None)):
        return _checked(value, type(value) is hint, name, f"of type {hint.__name__}")
    raise TypeError(f"{name} has the type {hint}, which no JSON value has")


def _read_any(hints: tuple[Any, ...], value: Any, name: str) -> Any:
    for hint in hints:
        try:
            return _read(hint, value, name)
        except ValueError as error:
            last = error
    raise last


def _read_tuple(hints: tuple[Any, ...], value: Any, name: str) -> tuple[Any, ...]:
    items = list(_checked(value, isinstance(value, list | tuple), name, "a list"))
    if len(hints) == 2 and hints[1] is Ellipsis:
        return tuple(_read(hints[0], item, name) for item in items)
    _checked(value, len(items) == len(hints), name, f"a list of {len(hints)}")
    return tuple(_read(hint, item, name) for hint, item in zip(hints, items, strict=True))


def _checked(value: Any, right: bool, name: str, expected: str) -> Any:
    if not right:
        raise ValueError(f"`{name}` must be {expected}, got {value!r:.100}")
    return value
