"""Publishing: a set's file, its card for readers, and a row in the index of its folder."""

import dataclasses
import hashlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from stillhouse.data.distilled import DistilledSet, distilled_arrays, load_distilled
from stillhouse.data.releases.folders import (
    ReleaseFolder,
    add_files,
    all_or_nothing,
    open_folder,
)
from stillhouse.data.releases.index import COLUMNS, Row, index_line, parse_index
from stillhouse.data.releases.names import file_name, kip_settings, network_name, set_name
from stillhouse.data.releases.published import INDEX
from stillhouse.data.releases.readme import readme
from stillhouse.data.releases.stores import inside, local_path


@dataclasses.dataclass(frozen=True)
class Published:
    """A set as it stands in an index.

    Attributes:
        index: where the index is.
        location: where the file is.
        row: what the index says.
        new: whether it was not there before.
    """

    index: str
    location: str
    row: Row
    new: bool


def publish(file: Path, to: str, *, name: str | None = None, license: str = "unknown") -> Published:
    """Add a distilled set to a release, which `stillhouse fetch` reads.

    Into `to` go `<dataset>/<name>/<name>.npz`, byte for byte as it is (but for the path of the
    dataset on this machine, if its card has one), beside it a dataset card
    `README.md` as the Hugging Face hub has them, and a row of `index.csv`, which is made if it is
    not there. Rows of others are never touched, nothing is overwritten, and if anything fails,
    everything is as it was. A set that is in the index already, under whatever name, is left there.

    Args:
        file: the set; it must carry its card and its transform.
        to: a folder, or a URL of the schemes file, s3 and gs.
        name: of the set; None for one in the form of the published ones.
        license: as the Hugging Face hub calls it.

    Raises:
        ValueError: if the file is damaged or lacks card or transform, the index is damaged, or
            another set has the name.
        OSError: if a file cannot be read or written.
    """
    content, distilled = read_publishable(file)
    digest = hashlib.sha256(content).hexdigest()
    name = set_name(distilled) if name is None else name
    row = _row(distilled, name, digest)
    folder = open_folder(to)
    index = inside(folder.location, INDEX)
    with folder.lock():
        before = folder.read(INDEX) or _header()
        known = parse_index(before, index)
        for other in known.rows:
            if other.sha256 == digest:
                return Published(index, inside(folder.location, other.url), other, new=False)
            if other.url == row.url:
                raise ValueError(
                    f"{inside(folder.location, row.url)} is another set already (line "
                    f"{other.line} of the index); give this one a name of its own by --name"
                )
        line = index_line(row, known)
        card = readme(distilled, name, license=license, files=(f"{name}.npz",))
        beside = row.url.rpartition("/")[0]
        new = add_files(folder, {row.url: content, f"{beside}/README.md": card.encode()})
        with all_or_nothing(folder, new):
            _append(folder, before, line)
    return Published(index, inside(folder.location, row.url), row, new=True)


def read_publishable(file: Path) -> tuple[bytes, DistilledSet]:
    """Return the bytes of a set's file, and the set.

    They are those of the file, but where its card says where the dataset lies on this machine.

    Raises:
        ValueError: if it is damaged, or lacks card or transform.
        OSError: if it cannot be read.
    """
    content = file.read_bytes()
    distilled = load_distilled(file)
    if distilled.card is None or distilled.transform is None:
        lacking = "card" if distilled.card is None else "transform"
        raise ValueError(
            f"{file} carries no {lacking}, so nobody could evaluate it as it was meant; publish "
            "what `stillhouse distill` or `stillhouse fetch` wrote"
        )
    return _without_paths(content, distilled)


def _without_paths(content: bytes, distilled: DistilledSet) -> tuple[bytes, DistilledSet]:
    """Return a set whose card names its dataset by name, and not by where it lies here."""
    assert distilled.card is not None
    config = dict(distilled.card.config)
    if "/" in str(config.get("dataset", "")) or "\\" in str(config.get("dataset", "")):
        config["dataset"] = distilled.card.dataset.name
    if local_path(str(config.get("released_at", "https://"))) is not None:
        del config["released_at"]
    kind, _, place = str(config.get("initialisation", "")).partition(":")
    if place:  # Of a pool or of weights here; the recipe names them by their SHA-256.
        config["initialisation"] = kind
    for setting, value in config.items():
        # A set that the run started from, a pool of experts, and what other methods may name.
        if isinstance(value, str) and ("/" in value or "\\" in value):
            if local_path(value) is not None:
                config[setting] = "set" if setting == "init" else re.split(r"[/\\]", value)[-1]
    if config == distilled.card.config:
        return content, distilled
    card = dataclasses.replace(distilled.card, config=config)
    distilled = dataclasses.replace(distilled, card=card)
    buffer = io.BytesIO()
    arrays: dict[str, Any] = distilled_arrays(distilled)
    np.savez(buffer, **arrays)
    return buffer.getvalue(), distilled


def _row(distilled: DistilledSet, name: str, digest: str) -> Row:
    card = distilled.card
    assert card is not None and distilled.transform is not None
    if name != file_name(name):
        raise ValueError(f"a name has letters, digits, `_`, `-` and `.` alone, got {name!r}")
    learned, augmented, ckpt = kip_settings(card)
    scores = card.scores
    return Row(
        architecture=network_name(card),
        dataset=card.dataset.name,
        ssize=len(distilled.images),
        zca=distilled.transform.kind.startswith("zca"),
        url=f"{file_name(card.dataset.name)}/{name}/{name}.npz",
        learned=learned,
        augmented=augmented,
        ckpt=ckpt,
        test_accuracy=scores.get("test_accuracy", scores.get("published_test_accuracy")),
        test_mse=scores.get("test_mse", scores.get("published_test_mse")),
        sha256=digest,
    )


def _header() -> bytes:
    return (",".join(COLUMNS) + "\n").encode()


def _append(folder: ReleaseFolder, before: bytes, line: bytes) -> None:
    after = before + (b"" if before.endswith(b"\n") else b"\n") + line
    folder.write(INDEX, after)
    if line not in (folder.read(INDEX) or b""):
        raise ConnectionError(
            f"{inside(folder.location, INDEX)}: another publisher wrote it at the same moment; "
            "publish again"
        )
