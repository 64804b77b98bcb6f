"""On what kinds of computer a run is computed: on one, where its bits are to be the same."""

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stillhouse.methods.computing_kind import first_difference, in_brief
from stillhouse.server.checkpoints import CheckpointStore
from stillhouse.server.requests import Refusal
from stillhouse.server.run_folder import RunFolder

# Whoever reaches the port can make up as many as he likes.
_MOST_KINDS = 64
_MOST_REFUSALS_LOGGED = 16

_log = logging.getLogger(__name__)


class DeviceKinds:
    """Lets in one kind of computer, or any, and remembers on which the run was computed.

    A kind is what `computing_kind` returns. The first one fixes the run's; for the process that
    keeps the run, and computes what no task is, there is one too. All methods are for many threads.

    Args:
        computed: the kinds that computed before, where a run goes on.
        any_device: let all kinds in. The run can then not be repeated to the bit, and says so.
        served: the kinds of those who kept the run before.

    Attributes:
        any_device: as given.
    """

    def __init__(
        self, computed: Iterable[str] = (), *, any_device: bool = False, served: Iterable[str] = ()
    ) -> None:
        self._computed = list(dict.fromkeys(computed))
        self._let_in = list(self._computed)
        self._served = list(dict.fromkeys(served))
        self.any_device = any_device
        self._refused: set[str] = set()
        self._lock = threading.Lock()

    @property
    def computed(self) -> tuple[str, ...]:
        """The kinds that have computed some of the run, in the order of their first results.

        Behind them those that have kept it, where they were several.
        """
        return (*self._computed, *(self._served if len(self._served) > 1 else ()))

    @property
    def all_computed(self) -> bool:
        """Whether each of those that were let in has computed already."""
        return len(self._computed) == len(self._let_in)

    def describe(self) -> dict[str, list[str]]:
        """Return what a checkpoint is to say of them, and `kinds_of_folder` reads."""
        return {"computed_by": list(self._computed), "served_by": list(self._served)}

    def let_in(self, kind: str, who: str = "this worker") -> None:
        """Let a kind compute.

        Args:
            kind: which.
            who: is of it, for the message.

        Raises:
            Refusal: if the run is of another kind, or of too many.
        """
        with self._lock:
            if self._add(kind, self._let_in, who) and len(self._let_in) == 1:
                _log.info("this run is computed by %s", kind)

    def serve_on(self, kind: str) -> None:
        """Let the run be kept, and what no task is be computed, by a process of a kind.

        Raises:
            Refusal: if it was kept on another kind before.
        """
        with self._lock:
            self._add(kind, self._served, "this process")

    def count(self, kind: str) -> None:
        """Note that a kind that was let in has computed something."""
        with self._lock:
            known = _like(kind, self._let_in)
            if known is not None and known not in self._computed:
                self._computed.append(known)

    def _add(self, kind: str, kinds: list[str], who: str) -> bool:
        """Put a kind to those that are known, unless it is one of them; return whether it is new.

        Raises:
            Refusal: if it is another than the first, or one too many.
        """
        if _like(kind, kinds) is not None:
            return False
        if kinds and not self.any_device:
            raise Refusal(self._refusal(kinds[0], kind, who))
        if len(kinds) >= _MOST_KINDS:
            raise Refusal(f"{_MOST_KINDS} kinds of device compute already")
        kinds.append(kind)
        if len(kinds) > 1:
            _log.warning(
                "this run is computed by %s too, beside %s: its bits can not be repeated",
                *(_apart(kinds[:1], kind), in_brief(kinds[0])),
            )
        return True

    def _refusal(self, first: str, kind: str, who: str) -> str:
        difference = first_difference(first, kind)
        assert difference is not None, "it is another kind"
        reason = (
            f"the run computes {difference.ours}, {who} {difference.theirs}, whose results differ "
            f"in the last bits: {difference.advice}, or start it with --any_device"
        )
        if reason not in self._refused and len(self._refused) < _MOST_REFUSALS_LOGGED:
            self._refused.add(reason)
            _log.warning("refused: %s", reason)
        return reason


def in_words(kinds: Sequence[str]) -> str:
    """Return by what a run was computed, and what that means."""
    if not kinds:
        return "computed by nothing yet"
    names = [_apart(kinds[:number], kind) for number, kind in enumerate(kinds)]
    mixed = "; its bits can not be repeated" if len(kinds) > 1 else ""
    return f"computed by {', and by '.join(names)}{mixed}"


def _like(kind: str, kinds: Iterable[str]) -> str | None:
    """Return the one of some kinds whose results have the same bits; None if there is none."""
    return next((known for known in kinds if first_difference(known, kind) is None), None)


def _apart(others: Sequence[str], kind: str) -> str:
    """Return a kind in brief, with what sets it apart from another one where that does not."""
    brief = in_brief(kind)
    alike = next((other for other in others if in_brief(other) == brief), kind)
    difference = first_difference(alike, kind)
    return brief if difference is None else f"{brief} {difference.theirs}"


def kinds_of_folder(folder: RunFolder, *, any_device: bool = False) -> DeviceKinds:
    """Return the kinds that have computed the run in a folder, up to its last checkpoint.

    Args:
        folder: the run's.
        any_device: as of `DeviceKinds`.

    Raises:
        OSError: if the folder cannot be read.
        CheckpointError: if the checkpoint was written in a newer format.
    """
    meta: Mapping[str, Any] = {}
    if folder.checkpoints.is_dir():
        meta = CheckpointStore(folder.checkpoints).latest_meta()
    computed, served = (
        [kind for kind in meta.get(name, ()) if isinstance(kind, str)]
        for name in ("computed_by", "served_by")
    )
    return DeviceKinds(computed, any_device=any_device, served=served)
