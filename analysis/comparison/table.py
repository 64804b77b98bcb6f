"""What the judges said of each set, as a table for the terminal, for JSON and for spreadsheets."""

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

from stillhouse.analysis.comparison.judging import Contender
from stillhouse.analysis.report.krr import Accuracy
from stillhouse.data.printing import printable


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """What the judges said of a set.

    Attributes:
        contender: the set.
        accuracies: by judge; None where it is not finite.
    """

    contender: Contender
    accuracies: Mapping[str, Accuracy | None]


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """A table of sets and judges.

    Attributes:
        dataset: whose test images were predicted.
        test_images: how many.
        judges: their names, in order.
        rows: the sets, in order.
    """

    dataset: str
    test_images: int
    judges: Sequence[str]
    rows: Sequence[Row]

    def text(self) -> str:
        """Return it for a terminal."""
        head = ["set", "images", "bytes", "seconds", *self.judges]
        lines = [head] + [
            [
                printable(row.contender.name),
                str(row.contender.images),
                f"{row.contender.bytes:,}",
                seconds(row.contender.seconds),
                *(percent(row.accuracies[judge]) for judge in self.judges),
            ]
            for row in self.rows
        ]
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def plain(self) -> dict[str, Any]:
        """Return it as what JSON has."""
        rows = []
        for row in self.rows:
            one = row.contender
            found = {
                judge: None if a is None else dataclasses.asdict(a)
                for judge, a in row.accuracies.items()
            }
            rows.append(
                {
                    **{"set": one.name, "source": one.source, "method": one.method},
                    **{"images": one.images, "bytes": one.bytes, "seconds": one.seconds},
                    **{"transform": one.transform.kind, "accuracies": found},
                }
            )
        judged = {"dataset": self.dataset, "test_images": self.test_images}
        return {**judged, "judges": list(self.judges), "sets": rows}

    def csv(self) -> str:
        """Return it as comma-separated values, a row for each set."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = [f"{judge} {part}" for judge in self.judges for part in ("mean", "deviation")]
        writer.writerow(["set", "method", "images", "bytes", "seconds", *columns])
        for row in self.rows:
            one = row.contender
            numbers: list[float | str | None] = []
            for judge in self.judges:
                accuracy = row.accuracies[judge]
                numbers += ["", ""] if accuracy is None else [accuracy.mean, accuracy.deviation]
            writer.writerow([one.name, one.method, one.images, one.bytes, one.seconds, *numbers])
        return text.getvalue()


def percent(accuracy: Accuracy | None) -> str:
    """Return an accuracy in percent, with the deviation of several."""
    if accuracy is None:
        return "not finite"
    if accuracy.deviation is None:
        return f"{100 * accuracy.mean:.1f}"
    return f"{100 * accuracy.mean:.1f} +- {100 * accuracy.deviation:.1f}"


def seconds(time: float | None) -> str:
    """Return a time in seconds; a dash where there is none."""
    return "-" if time is None else f"{time:,.0f}"
