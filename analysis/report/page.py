"""The page: one HTML file that needs no other, no network and no script."""

import base64
import functools
import importlib.resources
from collections.abc import Callable, Mapping
from typing import Any

import jinja2

from stillhouse import __version__
from stillhouse.analysis.report.krr import Accuracy

_FILES = ("page.html", "head.html", "parts.html", "page.css")


def render(**values: Any) -> str:
    """Return the page as HTML; every value is escaped.

    Args:
        **values: what `page.html` asks for: `contents`, `gallery`, `sheets`, `charts`,
            `correlation` and `provenance`, as `write_report` gives them.
    """
    return _template().render(version=__version__, **values)


@functools.cache
def _template() -> jinja2.Template:
    files = {name: "report" for name in _FILES}
    return template(files, data_uri=data_uri, percent=percent, duration=duration)


def template(files: Mapping[str, str], **filters: Callable[..., str]) -> jinja2.Template:
    """Return the template `page.html` of a page that needs no other file.

    Args:
        files: the folder of `stillhouse.analysis` in which each of its files stands, by name.
        **filters: what values go through, by name.
    """
    sources = {
        name: importlib.resources.files(f"stillhouse.analysis.{folder}")
        .joinpath(name)
        .read_text(encoding="utf-8")
        for name, folder in files.items()
    }
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(sources),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template("page.html")


def data_uri(png: bytes) -> str:
    """Return a PNG as an address that holds all of it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def percent(accuracy: Accuracy | None) -> str:
    """Return an accuracy in percent, with the deviation of several draws."""
    if accuracy is None:
        return "not finite"
    if accuracy.deviation is None:
        return f"{accuracy.mean:.1%}".replace("%", " %")
    return f"{100 * accuracy.mean:.1f} ± {100 * accuracy.deviation:.1f} %"


def duration(seconds: float) -> str:
    """Return a time in round numbers: `8 s`, `3 min`, `5 h`."""
    if seconds < 100:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.0f} h"
