"""absl flags made from configuration dataclasses, and their `--help`.

A group of the type `Method` stands for the settings of whichever method `--method` names. Each
command has `FlagValues` of its own, so that commands may use one name for different things
and none sees the flags of a library.
"""

import dataclasses
import itertools
import re
import shutil
import textwrap
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from absl import flags

from stillhouse.methods.method import Method
from stillhouse.methods.near import nearest
from stillhouse.methods.registry import METHODS, foreign_setting, owners_of

T = TypeVar("T")

# The fields that are arguments without dashes, and what to say where one is missing.
_ARGUMENTS = {
    "file": "FILE is missing: name the distilled set, such as runs/x/distilled.npz",
    "source": "SOURCE is missing: name kip, ls, or the URL or folder of a release",
}
_ALL_ARGUMENTS = "files"
_NO_FILES = "SET is missing: name distilled sets, or run folders, such as runs/x runs/y"


_WRONG_VALUE = re.compile(r"flag --(\w+)=(.*?): ", re.DOTALL)


class HelpAsked(Exception):
    """`--help` is among the arguments."""


def parse(config_class: type[T], arguments: Sequence[str]) -> tuple[T, frozenset[str]]:
    """Return the configuration that command line arguments give, and the flags given.

    Args:
        config_class: a dataclass whose fields are dataclasses of `option` fields, each a group of
            flags; a field `file: str` or `source: str` is the one argument without dashes, which
            may be left out where it has a default; `files: tuple[str, ...]` are all of them.
        arguments: of the command, without its name.

    Raises:
        HelpAsked: if `-h`, `--help` or `--helpfull` is among them.
        ValueError: if a flag is unknown, a value is of the wrong type or out of range, or an
            argument is missing or one too many.
    """
    before_end = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if any(argument in ("-h", "-help", "--help", "--helpfull") for argument in before_end):
        raise HelpAsked
    groups = dict(_groups(config_class, before_end))
    values = _define(groups.values())
    try:
        _, *positional = values(["stillhouse", *arguments])
    except flags.UnrecognizedFlagError as error:
        for flag in (error.flagname, error.flagname.removeprefix("no")):
            if _has_method(config_class) and owners_of(flag):
                message = foreign_setting(flag, _method_in(before_end))
                raise ValueError(message) from error
        names = [*values, *(f"no{name}" for name in values if values[name].boolean)]
        near = nearest(error.flagname, names)
        hint = f"did you mean --{near}?" if near else "see --help"
        raise ValueError(f"unknown flag --{error.flagname}; {hint}") from error
    except flags.Error as error:
        raise ValueError(_in_our_words(str(error), values)) from error
    settings = {
        name: group(**{field.name: _value(values, field) for field in dataclasses.fields(group)})
        for name, group in groups.items()
    }
    fields = {field.name: field for field in dataclasses.fields(config_class)}  # type: ignore[arg-type]
    for name, missing in _ARGUMENTS.items():
        if name in fields and positional and positional[0]:
            settings[name] = positional.pop(0)
        elif name in fields and fields[name].default is dataclasses.MISSING:
            raise ValueError(missing)
    if _ALL_ARGUMENTS in fields:
        settings[_ALL_ARGUMENTS], positional = tuple(positional), []
        if not all(settings[_ALL_ARGUMENTS]) or not settings[_ALL_ARGUMENTS]:
            raise ValueError(_NO_FILES)
    if positional:
        raise ValueError(f"unexpected argument {positional[0]!r}; settings start with --")
    given = frozenset(name for name in values if values[name].present)
    return config_class(**settings), given


def _in_our_words(message: str, values: flags.FlagValues) -> str:
    """Return what absl says of a wrong value without what Python's own `int` says of it."""
    match = _WRONG_VALUE.match(message)
    if match is None or match[1] not in values:
        return message
    kinds = {"int": "a whole number", "float": "a number", "bool": "true or false"}
    kind = values[match[1]].flag_type()
    expected = kinds.get(kind)
    if expected is None:
        return message
    return f"`--{match[1]}` must be {expected}, got {match[2]!r}"


def help_text(
    config_class: type,
    usage: str,
    about: str,
    examples: Sequence[str],
    arguments: Sequence[str] = (),
) -> str:
    """Return what `--help` prints: usage, what the command does, examples, flags by group.

    Args:
        config_class: as for `parse`.
        usage: a line.
        about: what the command does.
        examples: commands that work.
        arguments: those beside `--help`; of them `--method` says whose settings are shown.
    """
    width = min(shutil.get_terminal_size().columns, 100)
    lines = [f"usage: {usage}", "", *textwrap.wrap(about, width), "", "examples:"]
    lines += [f"  {example}" for example in examples]
    for _, group in _groups(config_class, arguments):
        for title, fields in _titled(group):
            lines += ["", f"{title}:"]
            for field in fields:
                lines += _flag_lines(field, typing.get_type_hints(group)[field.name], width)
    if _has_method(config_class):
        others = [name for name in METHODS if name != _method_in(arguments)]
        shown = ", ".join(f"--method={name}" for name in others)
        lines += ["", *textwrap.wrap(f"Other settings are those of {shown}, with --help.", width)]
    return "\n".join(lines)


def _groups(config_class: type, arguments: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield the groups by name; where one is that of a method, the method's that is asked for."""
    for name, group in typing.get_type_hints(config_class).items():
        if group is Method:
            yield name, METHODS[_method_in(arguments)]
        elif dataclasses.is_dataclass(group):
            yield name, group


def _has_method(config_class: type) -> bool:
    return Method in typing.get_type_hints(config_class).values()


def _method_in(arguments: Sequence[str]) -> str:
    """Return the last method that is named; where none is, or there is none such, the first."""
    found, *_ = METHODS
    for argument, after in itertools.zip_longest(arguments, arguments[1:], fillvalue=""):
        flag, equals, value = argument.lstrip("-").partition("=")
        if argument.startswith("-") and flag == "method":
            value = value if equals else after
            found = value if value in METHODS else found
    return found


def _titled(group: Any) -> Iterator[tuple[str, list["dataclasses.Field[Any]"]]]:
    """Yield the fields of a group under the title of the class that declares them."""
    fields = {field.name: field for field in dataclasses.fields(group)}
    for declaring in reversed(group.__mro__):
        names = [name for name in declaring.__dict__.get("__annotations__", {}) if name in fields]
        if names:
            title = (declaring.__doc__ or "").strip().split("\n")[0].rstrip(".")
            first, *rest = title.split()
            first = first if first.isupper() else first.lower()
            yield " ".join([first, *rest]), [fields.pop(name) for name in names]


def _define(groups: Iterable[Any]) -> flags.FlagValues:
    values = flags.FlagValues()
    values.set_gnu_getopt(True)
    for group in groups:
        hints = typing.get_type_hints(group)
        for field in dataclasses.fields(group):
            _define_flag(values, field, hints[field.name])
    return values


def _define_flag(values: flags.FlagValues, field: "dataclasses.Field[Any]", hint: Any) -> None:
    name, help = field.name, field.metadata["help"]
    default: Any = field.default
    kind = _base_type(hint)
    if field.metadata["choices"]:
        choices = field.metadata["choices"]
        flags.DEFINE_enum(name, default, list(choices), help, flag_values=values)
    elif kind is bool:
        flags.DEFINE_boolean(name, default, help, flag_values=values)
    elif kind is int:
        flags.DEFINE_integer(name, default, help, flag_values=values)
    elif kind is float:
        flags.DEFINE_float(name, default, help, flag_values=values)
    elif kind is tuple:
        flags.DEFINE_list(name, list(default), help, flag_values=values)
    else:
        assert kind is str, f"no flag for a field of type {hint}"
        flags.DEFINE_string(name, default, help, flag_values=values)


def _value(values: flags.FlagValues, field: "dataclasses.Field[Any]") -> Any:
    value = values[field.name].value
    return tuple(value) if isinstance(value, list) else value


def _base_type(hint: Any) -> Any:
    """Return `int` of `int | None`, `tuple` of `tuple[str, ...]`, and so on."""
    if isinstance(hint, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    return typing.get_origin(hint) or hint


def _flag_lines(field: "dataclasses.Field[Any]", hint: Any, width: int) -> list[str]:
    default, kind = field.default, _base_type(hint)
    if kind is bool:
        flag = f"--[no]{field.name}"
    elif field.metadata["choices"]:
        flag = f"--{field.name}={'|'.join(field.metadata['choices'])}"
    else:
        names = {int: "N", float: "X", tuple: "A,B", str: "TEXT"}
        flag = f"--{field.name}={names[kind]}"
    text = field.metadata["help"]
    if default is not None and default is not False and default != ():
        shown = "on" if default is True else f"{default:.4g}" if kind is float else default
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else shown
        text += f" (default: {shown})"
    column = 26
    wrapped = textwrap.wrap(text, max(width - column, 30))
    if len(flag) > column - 4:
        return [f"  {flag}", *(" " * column + line for line in wrapped)]
    first = f"  {flag:<{column - 2}}{wrapped[0]}"
    return [first, *(" " * column + line for line in wrapped[1:])]
