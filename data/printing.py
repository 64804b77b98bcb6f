"""Texts of strangers' files, before they reach a terminal."""

from typing import Any


def printable(text: str) -> str:
    r"""Return a text with every character that is not printed escaped, such as `\x1b`.

    A name in a file may hold what moves a terminal's cursor, clears it, or writes from right to
    left; shown, it must look like what it is. Letters of all scripts and blanks stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable_json(value: Any) -> Any:
    """Return a value of JSON with all its texts, keys too, made printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list | tuple):
        return [printable_json(item) for item in value]
    if isinstance(value, dict):
        return {printable(str(key)): printable_json(item) for key, item in value.items()}
    return value
