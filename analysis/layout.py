"""Where each image of a set stands in its picture, and where its bars are.

Lengths are in widths of an image; y runs down.
"""

import dataclasses
import math

_GAP = 0.18
_TITLE = 0.22
_DETAILED = 20
Box = list[tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class Grid:
    """The layout of a picture.

    Attributes:
        columns: images in a row.
        rows: rows of images.
        ratio: an image's height by its width.
        detailed: bars stand beside an image, with names, rather than beneath it.
        inches: the width of an image.
        name_room: the room for the names beside the bars.
    """

    columns: int
    rows: int
    ratio: float
    detailed: bool
    inches: float
    name_room: float = 0.0

    @property
    def width(self) -> float:
        """Of the whole picture."""
        return self.columns * self._cell[0] + _GAP

    @property
    def height(self) -> float:
        """Of the whole picture."""
        return self.rows * self._cell[1] + _GAP

    @property
    def size_inches(self) -> tuple[float, float]:
        """Of the whole picture."""
        return self.width * self.inches, self.height * self.inches

    @property
    def font(self) -> float:
        """The size of a title, in points: half the room that is left for it."""
        return 72 * self.inches * _TITLE * 0.55

    def corner(self, index: int) -> tuple[float, float]:
        """Return the upper left corner of an image."""
        row, column = divmod(index, self.columns)
        return column * self._cell[0] + _GAP, row * self._cell[1] + _GAP + _TITLE

    def bar_box(self, index: int, across: tuple[float, float], along: tuple[float, float]) -> Box:
        """Return the corners of a bar.

        Args:
            index: of the image.
            across: where its sides are, as shares of the room for all bars.
            along: where it begins and ends, as shares of the longest bar.
        """
        x, y = self.corner(index)
        if self.detailed:
            left, width = x + 1 + self.name_room, self._bars
            xs = [left + share * width for share in along]
            ys = [y + share * self.ratio for share in across]
        else:
            bottom = y + self.ratio + 0.06 + self._bars
            xs = [x + share for share in across]
            ys = [bottom - share * self._bars for share in along]
        return [(xs[0], ys[0]), (xs[1], ys[0]), (xs[1], ys[1]), (xs[0], ys[1])]

    def bar_name(self, index: int, across: float) -> tuple[float, float]:
        """Return where the name of a bar ends, beside it."""
        x, y = self.corner(index)
        return x + 1 + self.name_room - 0.04, y + across * self.ratio

    @property
    def _bars(self) -> float:
        return 0.62 if self.detailed else 0.35

    @property
    def _cell(self) -> tuple[float, float]:
        if self.detailed:
            return 1 + self.name_room + self._bars + _GAP, self.ratio + _TITLE + _GAP
        return 1 + _GAP, self.ratio + _TITLE + self._bars + _GAP


def grid_for(images: int, classes: int, *, ratio: float = 1.0, name_length: int = 0) -> Grid:
    """Return a layout about as wide as high, with whole classes in whole rows where it can.

    Args:
        images: how many there are, grouped by class.
        classes: of how many classes.
        ratio: an image's height by its width.
        name_length: the letters of the longest name that stands beside a bar.
    """
    if images <= _DETAILED:
        columns = images if images < 3 else 5 if images % 5 == 0 else 4 if images % 4 == 0 else 3
        rows = math.ceil(images / columns)
        return Grid(columns, rows, ratio, True, 1.15, 0.12 + 0.052 * name_length)
    ideal = math.sqrt(images * (ratio + _TITLE + 0.35 + _GAP) / (1 + _GAP))
    per_class = images // classes if images % classes == 0 else 1
    fitting = [n for n in range(6, 41) if per_class % n == 0]
    columns = min(fitting, key=lambda n: abs(n - ideal)) if fitting else round(ideal)
    inches = 0.85 if columns <= 12 else 0.55
    return Grid(columns, math.ceil(images / columns), ratio, False, inches)
