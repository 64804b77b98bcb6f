"""Siamese augmentation as data: what may happen to a batch, and what is drawn for one."""

import dataclasses
import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np

from stillhouse.data.records import to_plain
from stillhouse.data.sampling import rng_for

KINDS = ("color", "crop", "cutout", "flip", "scale", "rotate")
ALL, NONE = "dsa", "none"
# As many uniform numbers as the kind that needs most takes: one image's row of a draw.
_NUMBERS = 3
_SOME = f"some of {', '.join(KINDS)}"


@dataclasses.dataclass(frozen=True, eq=False)
class Draw:
    """What happens to a batch.

    Attributes:
        kind: the number of one of `KINDS`, int32.
        numbers: how, uniform in [0, 1), float32: `[1, 3]` for all images alike, or `[n, 3]`.
    """

    kind: np.ndarray
    numbers: np.ndarray


@dataclasses.dataclass(frozen=True)
class SiameseAugmentation:
    """What may happen to a batch: one of several kinds at a time, each as likely.

    Two batches that are to be compared get one draw, and so are changed alike.

    Attributes:
        kinds: some of `KINDS`. "flip" is not for digits and letters.

    Raises:
        ValueError: if there are none, or one is unknown or named twice.

    References:
        Zhao, Bilen. Dataset Condensation with Differentiable Siamese Augmentation. ICML 2021,
        https://arxiv.org/abs/2102.08259
    """

    kinds: tuple[str, ...] = KINDS

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", tuple(self.kinds))
        known = set(self.kinds) <= set(KINDS) and len(set(self.kinds)) == len(self.kinds)
        if not self.kinds or not known:
            raise ValueError(f"`kinds` must be {_SOME}, each once, got {self.kinds}")

    def draw(self, seed: int, *stream: int | str, images: int = 1) -> Draw:
        """Return what happens to a batch: a pure function of the arguments.

        Args:
            seed: zero or positive.
            stream: names and numbers that say what the draw is for, see `rng_for`.
            images: how many are changed differently; 1 changes all alike.
        """
        rng = rng_for(seed, "siamese", *stream)
        kind = KINDS.index(self.kinds[rng.integers(len(self.kinds))])
        numbers = rng.random((images, _NUMBERS), np.float32)
        return Draw(np.asarray(kind, np.int32), numbers)


def siamese_augmentation(names: Sequence[str]) -> SiameseAugmentation | None:
    """Return the augmentation of what a setting says: "dsa" for all kinds, "none", or some kinds.

    Raises:
        ValueError: if a kind is unknown or named twice.
    """
    if tuple(names) in ((), (NONE,)):
        return None
    return SiameseAugmentation() if tuple(names) == (ALL,) else SiameseAugmentation(tuple(names))


def plain_augmentation(names: Sequence[str]) -> dict[str, Any] | None:
    """Return the augmentation of what a setting says as recipes keep it, see `to_plain`.

    Raises:
        ValueError: if a kind is unknown or named twice.
    """
    augmentation = siamese_augmentation(names)
    return None if augmentation is None else to_plain(augmentation)


def expected_kinds(names: Sequence[str]) -> str | None:
    """Return what was expected of such a setting that is wrong, None for a right one."""
    if tuple(names) in ((), (ALL,), (NONE,)):
        return None
    wrong = next((name for name in names if name not in KINDS), None)
    if wrong is None and len(set(names)) == len(names):
        return None
    near = difflib.get_close_matches(wrong or "", [*KINDS, ALL, NONE], n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{ALL} for all, {NONE}, or {_SOME}, each once{hint}"
