"""Checkpoints: all that a run needs to go on, written whole or not at all."""

import dataclasses
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stillhouse.data.archive import npz_names, read_npz, write_npz

# 2: "work" by unit, in place of "kernel_elements"; scores under their full names.
FORMAT_VERSION = 2
_NAME = re.compile(r"step-(\d{6,})\.npz")
_META = "meta"
_PREFIX = "state/"
_SUPPORT = ("support/images", "support/labels")

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a run after a step.

    Attributes:
        step: how many steps are done.
        arrays: the method's state, by name; nothing is rounded.
        meta: what else is carried on, as a JSON object: counters, scores.
        support: the images and labels as they are then, for who looks at the run; None where an
            earlier version did not save them.
    """

    step: int
    arrays: Mapping[str, np.ndarray]
    meta: Mapping[str, Any]
    support: tuple[np.ndarray, np.ndarray] | None = None


class CheckpointError(ValueError):
    """A checkpoint is whole, but a run cannot go on from it."""


class CheckpointStore:
    """The checkpoints of a run, in a folder of their own, as `step-000300.npz`.

    Args:
        folder: where they are; it must exist.
        keep: how many of the latest stay.
    """

    def __init__(self, folder: Path, *, keep: int = 3) -> None:
        if keep < 1:
            raise ValueError(f"`keep` must be 1 or more, got {keep}")
        self._folder = folder
        self._keep = keep

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint; then drop those beyond the latest few, and any of later steps.

        A later step can only be there if it could not be read, or its run was taken back.

        Raises:
            OSError: if it cannot be written; the earlier ones are as they were.
        """
        meta = {"format_version": FORMAT_VERSION, "step": checkpoint.step, **checkpoint.meta}
        arrays = {_PREFIX + name: array for name, array in checkpoint.arrays.items()}
        if checkpoint.support is not None:
            arrays |= dict(zip(_SUPPORT, checkpoint.support, strict=True))
        arrays[_META] = np.array(json.dumps(meta, allow_nan=False))
        path = self._folder / f"step-{checkpoint.step:06d}.npz"
        self._folder.mkdir(exist_ok=True)  # Somebody may have deleted it under the run.
        write_npz(path, arrays)
        found = list(self._newest_first())
        later = [file for step, file in found if step > checkpoint.step]
        up_to_this = [file for step, file in found if step <= checkpoint.step]
        for file in (*later, *up_to_this[self._keep :]):
            file.unlink(missing_ok=True)
        return path

    def latest(self) -> Checkpoint | None:
        """Return the newest checkpoint that can be read, None if there is none.

        One that is damaged is passed over, with a warning.

        Raises:
            CheckpointError: if one was written in a newer format.
            OSError: if the folder cannot be read.
        """
        return self._latest(lambda name: True)

    def latest_meta(self) -> Mapping[str, Any]:
        """Return `meta` of the newest checkpoint that can be read; nothing if there is none.

        Raises:
            As `latest`.
        """
        saved = self._latest(lambda name: name == _META)
        return {} if saved is None else saved.meta

    def _latest(self, wanted: Callable[[str], bool]) -> Checkpoint | None:
        for step, path in self._newest_first():
            try:
                names = list(filter(wanted, npz_names(path)))
                arrays = read_npz(path, names)
                meta = json.loads(str(arrays.pop(_META)))
                if meta["step"] != step:
                    raise ValueError(f"holds step {meta['step']}")
            except (ValueError, KeyError, TypeError) as error:
                _log.warning("passing over the damaged checkpoint %s (%s)", path, error)
                continue
            if meta.pop("format_version", 0) > FORMAT_VERSION:
                raise CheckpointError(f"{path} was written by a newer Stillhouse; use that one")
            del meta["step"]
            images, labels = (arrays.pop(name, None) for name in _SUPPORT)
            support = None if images is None or labels is None else (images, labels)
            arrays = {name.removeprefix(_PREFIX): array for name, array in arrays.items()}
            return Checkpoint(step, arrays, meta, support)
        return None

    def _newest_first(self) -> Iterator[tuple[int, Path]]:
        found = ((_NAME.fullmatch(path.name), path) for path in self._folder.iterdir())
        steps = ((int(match[1]), path) for match, path in found if match)
        return iter(sorted(steps, reverse=True))
