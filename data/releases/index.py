"""The index of a release: a CSV file with one distilled set a line.

Its columns are those of the published KIP sets, `COLUMNS`, and `sha256`. `l`, `aug`, `ckpt`,
`test_acc`, `test_mse` and `sha256` may be missing, as a whole or in a line.
"""

import csv
import dataclasses
import io
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from stillhouse.data.printing import printable

COLUMNS = (
    *("architecture", "dataset", "ssize", "zca", "l", "aug", "ckpt"),
    *("test_acc", "test_mse", "URL", "sha256"),
)
_NEEDED = ("architecture", "dataset", "ssize", "zca", "URL")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of an index; None where it does not say.

    Attributes:
        architecture: the network, by its published name, such as `ConvNet` or `FC1`.
        dataset: what the set was distilled from.
        ssize: how many images it has.
        zca: whether its images are whitened.
        url: where the file is; where no scheme and no root is named, beside the index.
        learned: whether its labels were learned (column `l`).
        augmented: whether it was learned from augmented images (column `aug`).
        ckpt: after how many steps.
        test_accuracy: that of kernel ridge regression, 0 to 1 (column `test_acc`).
        test_mse: half the mean squared error against one-hot labels minus 1/k.
        sha256: of the file, in hex.
        line: where it stands in the index; 1 is the first line, which names the columns.
    """

    architecture: str
    dataset: str
    ssize: int
    zca: bool
    url: str
    learned: bool | None = None
    augmented: bool | None = None
    ckpt: int | None = None
    test_accuracy: float | None = None
    test_mse: float | None = None
    sha256: str | None = None
    line: int = 0


@dataclasses.dataclass(frozen=True)
class Index:
    """A whole index.

    Attributes:
        columns: the names of its columns.
        rows: its rows, in order.
        percent: whether it has accuracies in percent; those of `rows` are fractions always.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    percent: bool


_FIELDS = {
    **{"l": "learned", "aug": "augmented", "test_acc": "test_accuracy", "URL": "url"},
    **{name: name for name in COLUMNS if name not in ("l", "aug", "test_acc", "URL")},
}


def parse_index(content: bytes, name: str) -> Index:
    """Read an index.

    Accuracies may be fractions or percent: where any of the index is above 1, all are percent.

    Args:
        content: the bytes of the file.
        name: what errors call it.

    Raises:
        ValueError: naming line and column, if it is no index, or a value is missing or wrong.
    """
    header, lines = _table(content, name)
    rows = []
    for line, values in lines:
        if len(values) != len(header):
            raise ValueError(
                f"{name}, line {line}: {len(values)} values for {len(header)} columns; "
                "the index is damaged"
            )
        rows.append(_row(dict(zip(header, values, strict=True)), f"{name}, line {line}", line))
    percent = any((row.test_accuracy or 0.0) > 1.0 for row in rows)
    return Index(header, tuple(_scaled(row, 0.01) if percent else row for row in rows), percent)


def index_line(row: Row, index: Index) -> bytes:
    """Return a row as a line of an index, with its end.

    Raises:
        ValueError: if the row has a value for which the index has no column.
    """
    row = _scaled(row, 100.0) if index.percent else row
    values = {column: getattr(row, field) for column, field in _FIELDS.items()}
    lost = [c for c, value in values.items() if value is not None and c not in index.columns]
    if lost:
        raise ValueError(f"the index has no column {', '.join(lost)}; publish into another folder")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(
        "" if (value := values.get(column)) is None else value for column in index.columns
    )
    return text.getvalue().encode()


def matching(rows: Iterable[Row], **wanted: Any) -> tuple[Row, ...]:
    """Return the rows that have the wanted values.

    Args:
        rows: those of an index.
        wanted: values by the name of the attribute of `Row`; None for any. Names are compared
            without regard to case.

    Raises:
        ValueError: if there are none, naming the first value that no row has and those there are.
    """
    left = tuple(rows)
    for field, value in wanted.items():
        if value is None:
            continue
        kept = tuple(row for row in left if _folded(getattr(row, field)) == _folded(value))
        if not kept:
            there = sorted({getattr(row, field) for row in left}, key=lambda v: (v is None, v))
            names = ", ".join("unknown" if v is None else str(v) for v in there[:20])
            more = f" and {len(there) - 20} more" if len(there) > 20 else ""
            raise ValueError(f"no set with {field} {value} among these; there are {names}{more}")
        left = kept
    return left


def best(rows: Sequence[Row]) -> Row:
    """Return the row with the highest test accuracy, the first of several.

    Raises:
        ValueError: if no row says its accuracy.
    """
    known = [row for row in rows if row.test_accuracy is not None]
    if not known:
        raise ValueError("the index says no accuracy for these sets, so none is the best")
    return max(known, key=lambda row: row.test_accuracy or 0.0)


def _table(content: bytes, name: str) -> tuple[tuple[str, ...], list[tuple[int, list[str]]]]:
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        lines = []
        before = 0
        for values in reader:
            lines += [(before + 1, values)] if values else []
            before = reader.line_num
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{name}: not an index of distilled sets ({error})") from error
    header = tuple(value.strip() for value in lines[0][1]) if lines else ()
    missing = [column for column in _NEEDED if column not in header]
    if missing:
        found = printable(", ".join(header)[:80]) or "nothing"
        raise ValueError(
            f"{name}, line 1: not an index of distilled sets: no column {', '.join(missing)}; "
            f"found {found}"
        )
    return header, lines[1:]


def _row(values: dict[str, str], where: str, line: int) -> Row:
    found: dict[str, Any] = {"line": line}
    for column, field in _FIELDS.items():
        text = values.get(column, "").strip()
        if text:
            found[field] = _value(column, text, where)
        elif column in _NEEDED:
            raise ValueError(f"{where}: the column {column} is empty")
    return Row(**found)


def _value(column: str, text: str, where: str) -> Any:
    # They are shown, and a stranger wrote them.
    expected, read = _KINDS.get(column, ("a text", printable))
    try:
        return read(text)
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"{where}: the column {column} must hold {expected}, got {text[:60]!r}"
        ) from error


def _address(text: str) -> str:
    if not text.isprintable():
        raise ValueError
    return text


def _whole(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def _not_negative(text: str) -> float:
    number = float(text)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError
    return number


def _percent(text: str) -> float:
    number = _not_negative(text)
    if number > 100:
        raise ValueError
    return number


def _flag(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


def _hash(text: str) -> str:
    if not _SHA256.fullmatch(text.lower()):
        raise ValueError
    return text.lower()


_KINDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "ssize": ("a whole number", _whole),
    "ckpt": ("a whole number", _whole),
    "zca": ("True or False", _flag),
    "l": ("True or False", _flag),
    "aug": ("True or False", _flag),
    "URL": ("a path or a URL", _address),
    "test_acc": ("an accuracy, 0 to 1 or 0 to 100", _percent),
    "test_mse": ("a number that is not negative", _not_negative),
    "sha256": ("64 hexadecimal digits", _hash),
}


def _scaled(row: Row, factor: float) -> Row:
    if row.test_accuracy is None:
        return row
    return dataclasses.replace(row, test_accuracy=row.test_accuracy * factor)


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value
