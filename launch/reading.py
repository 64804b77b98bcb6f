"""Reading the dataset that a command is given."""

import contextlib
import dataclasses
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from stillhouse.data.dataset import Dataset
from stillhouse.data.sources import load_dataset
from stillhouse.launch.settings.reading import ReadingConfig

# What the data room calls its arguments, the user knows as flags.
_ARGUMENTS = "|".join(field.name for field in dataclasses.fields(ReadingConfig))
_IN_MESSAGES = re.compile(rf"`({_ARGUMENTS})\b")
_SIZE = re.compile(r"`image_size=\((\d+), (\d+)\)`")


@contextlib.contextmanager
def naming_flags() -> Iterator[None]:
    """Say `--image_size=8x8` where an error inside says `image_size=(8, 8)`."""
    try:
        yield
    except ValueError as error:
        message = _SIZE.sub(r"`image_size=\1x\2`", str(error))
        raise ValueError(_IN_MESSAGES.sub(r"`--\1", message)) from error
    except ImportError as error:  # A library that only some files need.
        raise ValueError(str(error)) from error


def read_dataset(
    source: str, reading: ReadingConfig, before: Mapping[str, Any] | None = None
) -> Dataset:
    """Return a dataset, and say on the terminal what was done to it.

    Args:
        source: its name or path.
        reading: how it is read.
        before: the settings of the run that read it before.

    Raises:
        ValueError: if it is no dataset, in the words of the command line.
        OSError: if it cannot be read.
    """
    with naming_flags():
        dataset = load_dataset(source, **reading.options(before))
    for note in dataset.notes:
        print(f"note: {dataset.name}: {note}", file=sys.stderr)
    return dataset
