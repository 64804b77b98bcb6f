"""The page of studies: one HTML file that needs no other, no network and no script."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from stillhouse import __version__
from stillhouse.analysis.report.page import data_uri, duration, template
from stillhouse.analysis.studies.findings import Section
from stillhouse.analysis.studies.keeping import Kept

_FILES = {"page.html": "studies", "head.html": "report", "page.css": "report"}


def studies_page(finished: Sequence[tuple[Kept, Section]], about: Mapping[str, Any]) -> str:
    """Return the page as HTML; every value is escaped.

    Args:
        finished: the studies, in their order, and what is said of each.
        about: `StudyFolder.identity`.
    """
    parts = [
        {
            "study": kept.study,
            "section": section,
            "seconds": kept.seconds,
            "sizes": _sizes(kept.sizes),
        }
        for kept, section in finished
    ]
    shown = {name: about[name] for name in ("dataset", "sets", "pools", "seed")}
    # Some studies may have been made by one command, and some by another.
    commands = list(dict.fromkeys(kept.command for kept, _ in finished))
    return _template().render(parts=parts, commands=commands, version=__version__, **shown)


@functools.cache
def _template() -> jinja2.Template:
    return template(_FILES, data_uri=data_uri, duration=duration)


def _sizes(sizes: Mapping[str, Any]) -> str:
    """Return the sizes of a study behind a semicolon, such as `; networks 3; steps 300`."""
    parts = []
    for name, value in sizes.items():
        every = name == "test_images" and not value
        parts.append(f"{name.replace('_', ' ')} {'all' if every else _shown(value)}")
    return f"; {'; '.join(parts)}" if parts else ""


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else f"{value:,}"
