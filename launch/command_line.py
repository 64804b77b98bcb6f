"""The command line that has some settings, to be given again."""

import dataclasses
import shlex
from collections.abc import Iterable, Sequence
from typing import Any


def command_line(name: str, files: Sequence[str], config: Any, leave: Iterable[str] = ()) -> str:
    """Return a command with those of its settings that are not as they are by default.

    Args:
        name: of the command.
        files: its arguments without dashes.
        config: a dataclass of groups of settings; what is none of these is passed over.
        leave: the names of settings that do not matter.
    """
    flags = []
    groups = [getattr(config, field.name) for field in dataclasses.fields(config)]
    for group in filter(dataclasses.is_dataclass, groups):
        for field in dataclasses.fields(group):
            value = getattr(group, field.name)
            if value == field.default or field.name in leave:
                continue
            if isinstance(value, bool):
                flags.append(f"--{'' if value else 'no'}{field.name}")
                continue
            shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
            flags.append(f"--{field.name}={shown}")
    return shlex.join(["stillhouse", name, *files, *flags])
