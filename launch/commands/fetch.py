"""`stillhouse fetch`: get published distilled sets."""

import dataclasses
import functools
import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stillhouse.data.atomic import write_bytes
from stillhouse.data.distilled import DistilledSet, load_distilled, save_distilled
from stillhouse.data.releases import (
    RELEASES,
    Row,
    best,
    download,
    fit_published_transform,
    index_location,
    matching,
    parse_index,
    read_location,
    row_location,
    with_recipe,
)
from stillhouse.data.releases.names import file_name
from stillhouse.launch.errors import bad_input, one_line
from stillhouse.launch.reading import naming_flags, read_dataset
from stillhouse.launch.settings.releases import FetchConfig

Complete = Callable[[DistilledSet, Row, str], DistilledSet]

_COLUMNS = {
    "architecture": "architecture",
    "dataset": "dataset",
    "ssize": "ssize",
    "zca": "zca",
    "learned": "l",
    "augmented": "aug",
    "ckpt": "ckpt",
    "test_accuracy": "test_acc",
    "test_mse": "test_mse",
}


def run(config: FetchConfig) -> int:
    """Fetch the sets, or list them, and return the exit code.

    Raises:
        CommandError: if there is no such release or set, it cannot be had, or it is damaged.
    """
    with bad_input():
        index = index_location(config.source, config.release.mirror)
        rows = _rows(config, index)
    if config.filter.list:
        as_json = json.dumps([dataclasses.asdict(row) for row in rows])
        print(as_json if config.output.json else "\n".join(_table(rows)))
        return 0
    fetched = []
    with bad_input():
        targets = _targets(config, rows)
        complete = _completing(config)
        for row, target in zip(rows, targets, strict=True):
            location = row_location(row, index, config.release.mirror)
            with naming_flags():
                content = _content(row, location, complete, config.reading.max_bytes)
            _put(target, content)
            fetched.append(_report(row, target, content))
            if not config.output.json:
                print(_line(row, target), flush=True)
    if config.output.json:
        print(json.dumps(fetched))
    return 0


def _rows(config: FetchConfig, index: str) -> tuple[Row, ...]:
    try:
        content = read_location(index)
    except FileNotFoundError as error:
        raise ValueError(
            f"no index of distilled sets at {index} ({one_line(error)}); SOURCE must be "
            f"{', '.join(RELEASES)}, or the URL or folder of a release"
        ) from error
    asked = config.filter
    rows = matching(
        parse_index(content, index).rows,
        architecture=asked.architecture,
        dataset=asked.dataset_name,
        ssize=asked.ssize,
        zca=asked.zca,
        learned=asked.learned,
        augmented=asked.augmented,
        ckpt=asked.ckpt,
    )
    return (best(rows),) if asked.best else rows


def _targets(config: FetchConfig, rows: Sequence[Row]) -> list[Path]:
    """Return the file that each row becomes."""
    if not rows:
        raise ValueError("the index is empty: nothing has been published there yet")
    if len(rows) > 1 and not config.filter.all:
        raise ValueError(
            f"{len(rows)} sets are meant; see them by --list and say which by more flags, take "
            "the --best, or --all of them"
        )
    out = Path(config.release.out).expanduser()
    if out.suffix == ".npz":
        if len(rows) > 1:
            raise ValueError(f"`--out` must be a folder for {len(rows)} sets, got {out}")
        return [out]
    names = [Path(row.url.partition("?")[0]).name.removesuffix(".npz") for row in rows]
    targets = [
        out / file_name(row.dataset) / f"{file_name(name)}.npz"
        for row, name in zip(rows, names, strict=True)
    ]
    for i, target in enumerate(targets):
        if target in targets[:i]:
            other = rows[targets.index(target)]
            raise ValueError(
                f"lines {other.line} and {rows[i].line} of the index would both become {target}; "
                "fetch one at a time, each into an --out of its own"
            )
    return targets


def _completing(config: FetchConfig) -> Complete:
    """Return what gives a set that carries images and labels alone the rest."""
    source = config.release.dataset
    if source is None:

        def refuse(distilled: DistilledSet, row: Row, location: str) -> DistilledSet:
            raise ValueError(
                f"{location} holds images and labels alone; name by --dataset the {row.dataset} "
                "that it was distilled from: its training images give the transform again"
            )

        return refuse
    dataset = read_dataset(source, config.reading)  # Before anything is downloaded.
    asked = dataclasses.asdict(config.reading)
    reading = {k: v for k, v in asked.items() if v is not None and k != "max_bytes"}

    @functools.cache
    def transform(zca: bool) -> Any:
        return fit_published_transform(zca, dataset)

    def complete(distilled: DistilledSet, row: Row, location: str) -> DistilledSet:
        known = transform(row.zca)
        return with_recipe(
            distilled, row, dataset, known, source=source, url=location, reading=reading
        )

    return complete


def _content(row: Row, location: str, complete: Complete, max_bytes: int | None) -> bytes:
    """Return the bytes of the row's file: as they are, if the set carries all that it needs."""
    read = functools.partial(load_distilled, max_bytes=max_bytes)
    path = download(location, sha256=row.sha256, check=read, max_bytes=max_bytes)
    distilled = read(path)
    if distilled.card is not None and distilled.transform is not None:
        return path.read_bytes()
    completed = complete(distilled, row, location)
    with tempfile.TemporaryDirectory() as folder:
        save_distilled(Path(folder) / "set.npz", completed)
        return (Path(folder) / "set.npz").read_bytes()


def _put(target: Path, content: bytes) -> None:
    if target.exists():
        if target.read_bytes() != content:
            raise ValueError(f"{target} is there already, with another content; nothing is lost")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(target, content)


def _report(row: Row, target: Path, content: bytes) -> dict[str, Any]:
    known = dataclasses.asdict(row) | {"sha256": hashlib.sha256(content).hexdigest()}
    return {"file": str(target), **known}


def _line(row: Row, target: Path) -> str:
    stated = "" if row.test_accuracy is None else f", stated accuracy {row.test_accuracy:.4f}"
    return (
        f"{target}: {row.ssize} images of {row.dataset} for {row.architecture}{stated}; check it "
        f"by `stillhouse evaluate {target}`"
    )


def _table(rows: Sequence[Row]) -> list[str]:
    lines = [list(_COLUMNS.values())]
    lines += [[_cell(getattr(row, field)) for field in _COLUMNS] for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_COLUMNS))]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
