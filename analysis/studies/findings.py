"""What the page says of a study: whether a published conclusion is seen here, and by what test."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from stillhouse.analysis.report.charts import Chart

SEEN, NOT_SEEN, TOO_SMALL = "seen", "not seen", "too small to tell"
LEVEL = 0.05
"""Chances above this one are no answer."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """Whether a conclusion is seen.

    Attributes:
        conclusion: as it was published.
        verdict: `SEEN`, `NOT_SEEN` or `TOO_SMALL`.
        sentence: what the numbers say, and by which test.
    """

    conclusion: str
    verdict: str
    sentence: str


@dataclasses.dataclass(frozen=True)
class Section:
    """The part of a study on the page.

    Attributes:
        findings: of its conclusions.
        charts: its plots.
        caption: of its table.
        head: of the columns.
        rows: a text for each column.
        notes: what a reader should know, a sentence each.
    """

    findings: tuple[Finding, ...]
    charts: tuple[Chart, ...]
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def by_test(difference: float, chance: float | None) -> str:
    """Return the verdict of a test of one set.

    Args:
        difference: above zero where it is as published.
        chance: the p-value of a two-sided test of it; None where there is too little to test.
    """
    if chance is None or not chance <= LEVEL:
        return TOO_SMALL
    return SEEN if difference > 0 else NOT_SEEN


def overall(verdicts: Sequence[str]) -> str:
    """Return what more than half of the sets say; `TOO_SMALL` where none is that frequent."""
    for verdict in (SEEN, NOT_SEEN):
        if 2 * list(verdicts).count(verdict) > len(verdicts):
            return verdict
    return TOO_SMALL


def counted(verdicts: Sequence[str]) -> str:
    """Return the verdicts of sets in words, such as `seen in 3 of 4 sets, not seen in 1`."""
    counts = {verdict: list(verdicts).count(verdict) for verdict in (SEEN, NOT_SEEN, TOO_SMALL)}
    parts = [f"{verdict} in {count}" for verdict, count in counts.items() if count]
    return ", ".join([f"{parts[0]} of {len(verdicts)}", *parts[1:]])


def percent(values: float | Sequence[float] | np.ndarray) -> str:
    """Return a share, or the mean and the deviation of some, in percent."""
    found = np.atleast_1d(np.asarray(values, np.float64))
    deviation = f" ± {100 * np.std(found, ddof=1):.1f}" if len(found) > 1 else ""
    return f"{100 * found.mean():.1f}{deviation}"


def least_to_largest(shares: Mapping[str, float]) -> str:
    """Return the least and the largest share of the sets, by name, in percent."""
    ends = sorted(shares, key=lambda name: shares[name])
    return " to ".join(f"{percent(shares[n])} % ({n})" for n in dict.fromkeys((ends[0], ends[-1])))


def chance(value: float | None) -> str:
    """Return a p-value for a table."""
    if value is None:
        return "-"
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"
