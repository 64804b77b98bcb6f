"""A pool as it grows: one network after another, each written whole or not at all."""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stillhouse.data.archive import read_npz, write_npz
from stillhouse.data.atomic import write_bytes
from stillhouse.data.card import software_versions
from stillhouse.data.folders import LOCK, check_writable, sole_writer
from stillhouse.data.records import from_plain, to_plain
from stillhouse.data.transforms import Transform
from stillhouse.networks.pool import (
    FORMAT_VERSION,
    RECORD,
    TRANSFORM,
    Member,
    PoolInfo,
    named_weights,
    read_record,
    snapshot_file,
    weights_file,
)

_SCORES = "scores"
# What is left of an atomic write whose process was killed.
_LEFTOVER = re.compile(r"\..+\.tmp")


class PoolWriter:
    """The folder of a pool that is made or goes on.

    Args:
        path: where it is, or will be.
        info: what its networks have in common.
        count: how many there are to be.
    """

    def __init__(self, path: Path, info: PoolInfo, count: int) -> None:
        self.path, self.info, self.count = path, info, count
        self._layout = info.build().layout

    @property
    def log(self) -> Path:
        """The file for what is said meanwhile."""
        return self.path / "log.txt"

    def check(self, *, bytes_needed: int = 0) -> None:
        """Check that the pool can go here, and write nothing.

        Raises:
            ValueError: if the folder holds another pool, more networks, or other files, or the
                disk is too full.
            OSError: if it is no folder, or cannot be written.
        """
        there = check_writable(self.path)
        free = shutil.disk_usage(there).free
        if free < bytes_needed:
            raise ValueError(
                f"`--out`: the pool takes about {bytes_needed / 1e6:.0f} MB and {free / 1e6:.0f} "
                f"MB are free at {there}; free some space or give a folder on another disk"
            )
        if not self.path.exists() or not self._entries():
            return
        if not (self.path / RECORD).exists():
            raise ValueError(
                f"`--out`: {self.path} is not empty and holds no pool; give another folder"
            )
        record = read_record(self.path)
        _check_same(self.path, record["info"], to_plain(self.info))
        if record["networks"] > self.count:
            raise ValueError(
                f"`--out`: {self.path} is a pool of {record['networks']} networks and "
                f"`--networks` says {self.count}; it can only grow"
            )

    @contextlib.contextmanager
    def opened(self, transform: Transform) -> Iterator[None]:
        """Make the folder if need be, and keep every other process from writing in it.

        Raises:
            ValueError: as `check`, and if another process is at it.
            OSError: if it cannot be made or written.
        """
        self.check()
        with sole_writer(self.path):
            self.check()  # Again: another process may have made it meanwhile.
            write_npz(self.path / TRANSFORM, transform.to_arrays())
            self._write_record()
            yield

    def missing(self) -> list[int]:
        """Return the networks that are not there yet."""
        return [i for i in range(self.count) if not (self.path / weights_file(i)).exists()]

    def add(self, index: int, weights: np.ndarray, scores: np.ndarray, along: np.ndarray) -> Member:
        """Write a network: its snapshots first, so that the file of its weights means it is whole.

        Args:
            index: which one.
            weights: float32 `[size]`.
            scores: test accuracy, training accuracy and training loss, float64 `[3]`.
            along: its snapshots, float32 `[t, size]`.

        Raises:
            OSError: if it cannot be written.
        """
        steps = self.info.snapshot_steps
        if steps:
            (self.path / snapshot_file(index, 0)).parent.mkdir(exist_ok=True)
        for step, vector in zip(steps, along, strict=True):
            write_npz(self.path / snapshot_file(index, step), named_weights(vector, self._layout))
        named = {**named_weights(weights, self._layout), _SCORES: np.asarray(scores, np.float64)}
        write_npz(self.path / weights_file(index), named)
        self._write_record()
        return self._member(index)

    def members(self) -> list[Member]:
        """Return the networks that are there.

        Raises:
            ValueError: if a file is damaged.
        """
        missing = set(self.missing())
        return [self._member(i) for i in range(self.count) if i not in missing]

    def _member(self, index: int) -> Member:
        (scores,) = read_npz(self.path / weights_file(index), [_SCORES]).values()
        tested, trained, loss = (float(value) for value in scores)
        return Member(self.info.seed + index, tested, trained, loss)

    def _write_record(self) -> None:
        members = self.members()
        accuracies = [member.test_accuracy for member in members]
        record: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "networks": self.count,
            "finished": len(members) == self.count,
            "test_accuracy": float(np.mean(accuracies)) if members else None,
            "test_accuracy_std": float(np.std(accuracies, ddof=1)) if len(members) > 1 else None,
            "info": to_plain(self.info),
            "software": software_versions(),
            "members": [to_plain(member) for member in members],
        }
        text = json.dumps(record, indent=1, allow_nan=False) + "\n"
        write_bytes(self.path / RECORD, text.encode())

    def _entries(self) -> list[str]:
        names = os.listdir(self.path)
        return [name for name in names if name != LOCK and not _LEFTOVER.fullmatch(name)]


def _check_same(path: Path, there: Any, here: dict[str, Any]) -> None:
    """Check that a folder's pool is the one that is to be made.

    Raises:
        ValueError: if not, with what differs.
    """
    from_plain(PoolInfo, there)  # It is one.
    # What a dataset is called does not matter.
    there, here = (
        {**info, "dataset": f"sha256 {info['dataset']['fingerprint'][:16]}"}
        for info in (there, here)
    )
    changes = [
        f"`{name}` is {json.dumps(there.get(name))} there and {json.dumps(here[name])} here"
        for name in here
        if json.dumps(there.get(name)) != json.dumps(here[name])
    ]
    if changes:
        raise ValueError(
            f"`--out`: {path} holds another pool: {'; '.join(changes)}; give another folder, or "
            "the same settings to go on with that one"
        )
