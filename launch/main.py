"""The command `stillhouse`."""

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import stillhouse
from stillhouse.launch.catalogue import COMMANDS, Command
from stillhouse.launch.errors import BAD_INPUT, INTERRUPTED, CommandError, bad_input
from stillhouse.launch.logs import start_logging
from stillhouse.launch.settings.flags import HelpAsked, help_text, parse
from stillhouse.launch.settings.given import check_given
from stillhouse.launch.settings.run import DistillConfig
from stillhouse.launch.start import ready


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name, and return the exit code.

    0: done. 1: a run stopped by NaN or a failing disk. 2: bad input, before any work. 130 and
    143: interrupted by Ctrl-C and by SIGTERM.

    Args:
        arguments: without the program's name; None for those of the process.
    """
    try:
        code = _answer(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # who read the output, such as `head`, has had enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _answer(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "-help", "--help", "--helpfull", "help"):
        print(_overview())
        return 0
    if arguments[0] in ("--version", "version"):
        print(f"stillhouse {stillhouse.__version__}")
        return 0
    command = COMMANDS.get(arguments[0])
    if command is None:
        near = difflib.get_close_matches(arguments[0], COMMANDS, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(COMMANDS)}"
        return _fail("stillhouse", f"unknown command {arguments[0]!r}{hint}", BAD_INPUT)
    try:
        return _run(command, arguments[1:])
    except HelpAsked:
        usage = f"stillhouse {command.name} {command.arguments}"
        about, examples = command.about, command.examples
        print(help_text(command.config, usage, about, examples, arguments[1:]))
        return 0
    except CommandError as error:
        return _fail(f"stillhouse {command.name}", str(error), error.code)
    except KeyboardInterrupt:
        return _fail(f"stillhouse {command.name}", "interrupted", INTERRUPTED)
    except ImportError as error:  # what an extension makes of Ctrl-C while it is loaded
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        return _fail(f"stillhouse {command.name}", "interrupted", INTERRUPTED)


def _run(command: Command, arguments: Sequence[str]) -> int:
    config: Any
    with bad_input():
        config, given = parse(command.config, arguments)
        if isinstance(config, DistillConfig):
            check_given(config, given)
    start_logging()
    # Only here, so that --help and a wrong flag are answered without importing JAX.
    module = importlib.import_module(f"stillhouse.launch.commands.{command.name}")
    ready()
    code: int = module.run(config)
    return code


def _fail(program: str, message: str, code: int) -> int:
    print(f"{program}: error: {message}", file=sys.stderr)
    return code


def _overview() -> str:
    lines = [
        "usage: stillhouse COMMAND [--flag=value ...]",
        "",
        "Distil a dataset into a handful of synthetic images, by kernels, gradients or features.",
        "",
        "commands:",
        *(f"  {command.name:<10}{command.summary}" for command in COMMANDS.values()),
        "",
        "example:",
        "  stillhouse distill --dataset=digits --out=runs/digits",
        "",
        "stillhouse COMMAND --help tells the flags of a command; stillhouse --version the version.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
