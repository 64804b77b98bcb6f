"""What of the logs is for the user."""

import logging as standard_logging
import sys
import warnings
from typing import TextIO

from absl import flags, logging

from stillhouse.launch.errors import Note

_show_others = warnings.showwarning


def start_logging() -> None:
    """Let this process log what is ours, and of all others their warnings, to standard error."""
    if not flags.FLAGS.is_parsed():  # Those of absl itself, which its logging reads.
        flags.FLAGS.mark_as_parsed()
    logging.use_absl_handler()
    standard_logging.getLogger().setLevel(standard_logging.WARNING)
    logging.get_absl_logger().setLevel(standard_logging.INFO)
    # That there is no GPU is no news to who has none.
    standard_logging.getLogger("jax._src.xla_bridge").addFilter(
        lambda record: not record.getMessage().startswith("No GPU/TPU found")
    )
    warnings.showwarning = _show


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show a note to the user as one line, without the line of code that says so."""
    if issubclass(category, Note):
        print(f"note: {message}", file=sys.stderr)
    else:
        _show_others(message, category, filename, lineno, file, line)
