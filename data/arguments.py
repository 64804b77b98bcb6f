"""Values that users give, in calls and in settings, of the types that they must have.

A wrong one is refused where it is given, by its name. Far below it would end in Python's own words,
which name neither the argument nor what was expected.
"""

import collections.abc
import dataclasses
import functools
import inspect
import numbers
import os
import types
import typing
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_EXPECTED = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple: "a sequence of texts",
    collections.abc.Sequence: "a sequence of texts",
    collections.abc.Callable: "a function",
    collections.abc.Mapping: "a dict",
    os.PathLike: "a path",
}
# What makes one, for who has its file or name.
_MADE_BY = {"DistilledSet": "load", "Dataset": "load_dataset"}
_SHOWN = 60  # characters of a value in a message


def check_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Check the arguments of a public function by their annotations, before it is called.

    Checked are texts, paths, numbers, sequences of texts, functions, literals, and classes that are
    not NumPy's; what an annotation leaves open (arrays, `Any`) is left to the function. Scalars of
    NumPy are numbers as any other, and come to the function as Python's.

    Raises:
        ValueError: by the function that is returned, naming the argument.
    """
    signature = inspect.signature(function)
    several = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]

    @functools.cache  # Not at once: an annotation may name what stands further down.
    def hints() -> dict[str, Any]:
        return typing.get_type_hints(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)  # Which names itself as it says so.
        for name, value in bound.arguments.items():
            hint = hints().get(name)
            # What is not given is right, whatever it is.
            if name not in several and value is not signature.parameters[name].default:
                bound.arguments[name] = of_hint(f"`{name}`", value, hint)
        return function(*bound.args, **bound.kwargs)

    return call


def check_fields(record: Any) -> None:
    """Check the fields of a frozen dataclass by their annotations, as `check_arguments` does.

    Raises:
        ValueError: naming the field.
    """
    hints = typing.get_type_hints(type(record))
    for field in dataclasses.fields(record):
        value = of_hint(f"`{field.name}`", getattr(record, field.name), hints[field.name])
        object.__setattr__(record, field.name, value)


def of_hint(name: str, value: Any, hint: Any) -> Any:
    """Return a value as the type that an annotation asks for.

    Args:
        name: what an error calls it.
        value: what was given.
        hint: the annotation; None for none.

    Raises:
        ValueError: if it is of another type.
    """
    kinds = kinds_of(hint)
    if hint is None or value is None and type(None) in kinds:
        return value
    if not all(_is_checked(part) for part in _parts(hint)):
        return value
    choices = [text for part in _parts(hint) for text in _literals(part)]
    if choices:
        if value in choices:
            return value
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {shown(value)}")
    return of_kind(name, value, kinds)


def kinds_of(hint: Any) -> tuple[Any, ...]:
    """Return the types that an annotation allows: `(int, NoneType)` of `int | None`."""
    return tuple(typing.get_origin(part) or part for part in _parts(hint))


def of_kind(name: str, value: Any, kinds: tuple[Any, ...]) -> Any:
    """Return a value as the first of these types that it is of; a NumPy scalar as a number.

    Raises:
        ValueError: naming the value, if it is of none of them.
    """
    is_flag = isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")
    is_path = os.PathLike in kinds
    for kind in kinds:
        if kind is bool:
            if is_flag:
                return bool(value)
        elif kind is int:
            if isinstance(value, numbers.Integral) and not is_flag:
                return int(value)
        elif kind is float:
            if isinstance(value, numbers.Real) and not is_flag:
                return float(value)
        elif kind is str:
            if isinstance(value, str) and (value or not is_path):
                return str(value)
        elif kind in (tuple, collections.abc.Sequence):
            items = value.tolist() if hasattr(value, "tolist") else value
            if isinstance(items, tuple | list) and all(isinstance(item, str) for item in items):
                return tuple(items)
        elif kind is collections.abc.Callable:
            if callable(value):
                return value
        elif isinstance(value, kind):
            return value
    wanted = [kind for kind in kinds if kind is not type(None) and not (is_path and kind is str)]
    expected = " or ".join(_EXPECTED.get(kind) or _a(kind.__name__) for kind in wanted)
    maker = next((_MADE_BY[k.__name__] for k in wanted if k.__name__ in _MADE_BY), None)
    is_text = isinstance(value, str | os.PathLike)
    hint = f"; `{maker}` reads one from a file" if maker and is_text else ""
    raise ValueError(f"{name} must be {expected}, got {shown(value)}{hint}")


def shown(value: Any) -> str:
    """Return a wrong value as a message shows it: itself where that is short, or else its type."""
    plain = isinstance(value, str | bytes | numbers.Number | tuple | list | dict | None)
    text = repr(value) if plain else type(value).__name__
    if len(text) <= _SHOWN:
        return text
    return f"{text[:_SHOWN]}..." if isinstance(value, str) else type(value).__name__


def _parts(hint: Any) -> tuple[Any, ...]:
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if union else (hint,)


def _literals(hint: Any) -> tuple[str, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()


def _is_checked(hint: Any) -> bool:
    """Return whether an annotation says all of a value: arrays and sequences have many forms."""
    kind = typing.get_origin(hint) or hint
    if kind in (tuple, collections.abc.Sequence):
        return all(item in (str, Ellipsis) for item in typing.get_args(hint))
    if kind in (typing.Literal, collections.abc.Callable):
        return True
    # From Python 3.11 on `Any` is a class.
    is_class = isinstance(kind, type) and kind is not Any
    is_class = is_class and not getattr(kind, "_is_protocol", False)
    return is_class and kind.__module__.partition(".")[0] != "numpy"


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIO' else 'a'} {noun}"
