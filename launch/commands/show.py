"""`stillhouse show`: draw a distilled set."""

from pathlib import Path

from stillhouse.analysis.steps import draw_set
from stillhouse.launch.errors import bad_input
from stillhouse.launch.sets import load_set
from stillhouse.launch.settings.sets import ShowConfig


def run(config: ShowConfig) -> int:
    """Draw the set, and return the exit code.

    Raises:
        CommandError: if there is no such set, or the picture cannot be written.
    """
    with bad_input():
        distilled = load_set(config.file, config.picture.max_bytes)
        out = Path(config.picture.out).expanduser()
        draw_set(distilled, out)
    print(f"{out}: {len(distilled.images)} images of {config.file}")
    return 0
