"""On what kinds of device a run is computed: on one, where its bits are to be the same."""

import logging
import threading
from collections.abc import Iterable, Sequence

from stillhouse.methods.device_kind import first_difference
from stillhouse.server.checkpoints import CheckpointStore
from stillhouse.server.requests import Refusal
from stillhouse.server.run_folder import RunFolder

# Whoever reaches the port can make up as many as he likes.
_MOST_KINDS = 64
_MOST_REFUSALS_LOGGED = 16

_log = logging.getLogger(__name__)


class DeviceKinds:
    """Lets in one kind of device, or any, and remembers on which the run was computed.

    A kind is what `computing_kind` returns: a backend and the model of a device. The first one
    fixes the run's. All methods are for many threads.

    Args:
        computed: the kinds that computed before, where a run goes on.
        any_device: let all kinds in. The run can then not be repeated to the bit, and says so.

    Attributes:
        any_device: as given.
    """

    def __init__(self, computed: Iterable[str] = (), *, any_device: bool = False) -> None:
        self._computed = list(dict.fromkeys(computed))
        self._let_in = list(self._computed)
        self.any_device = any_device
        self._refused: set[str] = set()
        self._lock = threading.Lock()

    @property
    def computed(self) -> tuple[str, ...]:
        """The kinds that have computed some of the run, in the order of their first results."""
        return tuple(self._computed)

    @property
    def all_computed(self) -> bool:
        """Whether each of those that were let in has computed already."""
        return len(self._computed) == len(self._let_in)

    def let_in(self, kind: str, who: str = "this worker") -> None:
        """Let a kind compute.

        Args:
            kind: which.
            who: is of it, for the message.

        Raises:
            Refusal: if the run is of another kind, or of too many.
        """
        with self._lock:
            if kind in self._let_in:
                return
            if self._let_in and not self.any_device:
                raise Refusal(self._refusal(kind, who))
            if len(self._let_in) >= _MOST_KINDS:
                raise Refusal(f"{_MOST_KINDS} kinds of device compute already")
            self._let_in.append(kind)
            if len(self._let_in) == 1:
                _log.info("this run is computed by %s", kind)
            else:
                _log.warning(
                    "this run is computed by %s too, beside %s: its bits can not be repeated",
                    *(kind, self._let_in[0]),
                )

    def count(self, kind: str) -> None:
        """Note that a kind that was let in has computed something."""
        with self._lock:
            if kind in self._let_in and kind not in self._computed:
                self._computed.append(kind)

    def _refusal(self, kind: str, who: str) -> str:
        ours, theirs = first_difference(self._let_in[0], kind)
        reason = (
            f"the run computes {ours}, {who} {theirs}, whose results differ in the last bits: give "
            "a run one kind of device, or start it with --any_device"
        )
        if kind not in self._refused and len(self._refused) < _MOST_REFUSALS_LOGGED:
            self._refused.add(kind)
            _log.warning("refused: %s", reason)
        return reason


def in_words(kinds: Sequence[str]) -> str:
    """Return by what a run was computed, and what that means."""
    mixed = "; its bits can not be repeated" if len(kinds) > 1 else ""
    return f"computed by {', and by '.join(kinds)}{mixed}"


def kinds_of_folder(folder: RunFolder) -> tuple[str, ...]:
    """Return the kinds that have computed the run in a folder, up to its last checkpoint.

    Raises:
        OSError: if the folder cannot be read.
        CheckpointError: if the checkpoint was written in a newer format.
    """
    if not folder.checkpoints.is_dir():
        return ()
    found = CheckpointStore(folder.checkpoints).latest_meta().get("computed_by", ())
    return tuple(kind for kind in found if isinstance(kind, str))
