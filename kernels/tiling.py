"""How the Gram matrices of a run are cut into tiles.

The tiling is a pure function of the kernel, the image size, the numbers of images, and the size of
a tile where a run's settings say one: never of who computes the tiles, or how many do. Partial
gradients are added in the order of the tiles, so one worker or a hundred give the same bits.
"""

import dataclasses
import math
from typing import Literal

from stillhouse.kernels.band import pair_levels
from stillhouse.kernels.spec import KernelSpec

# Work of one tile, in covariances of pixel pairs: seconds in the slowest backend for a deep
# convolutional network, and enough in the fastest to hide the cost of handing a tile over.
_WORK = 2**30
# Bounds of a tile's number of kernel elements, whatever a single element costs.
_FEWEST, _MOST = 2**8, 2**16
# Rows beyond this only make a tile of few support images longer to wait for.
_MOST_ROWS = 512
# Backends work on groups of rows; a tile of whole groups wastes none of them.
_ROW_GROUP = 16
# Rows to columns of a tile whose size was asked for. Its column images go down as float32, and
# their gradients come back, which costs a server twice as much; its row images go down, as float32
# or as a byte a value. So the least cost is at 3 or at 12; at 6 it is six percent more.
_ROWS_TO_COLUMNS = 6

Span = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Tile:
    """A rectangle of one of the two matrices of a step.

    Attributes:
        kind: "gram", a square on the diagonal of K_ss, all of it computed from one set of images;
            or "cross", a rectangle between two sets of images.
        matrix: "ss", support by support (then only the upper triangle has tiles), or "ts",
            targets by support.
        rows: the first row and the one after the last.
        cols: the first column and the one after the last.
    """

    kind: Literal["gram", "cross"]
    matrix: Literal["ss", "ts"]
    rows: Span
    cols: Span

    @property
    def elements(self) -> int:
        """The number of kernel elements that are computed: half of a symmetric square."""
        n1, n2 = self.rows[1] - self.rows[0], self.cols[1] - self.cols[0]
        return n1 * (n1 + 1) // 2 if self.kind == "gram" else n1 * n2


def plan_tiles(support: int, targets: int, *, elements: int = _MOST) -> tuple[Tile, ...]:
    """Return the tiles of K_ss, upper triangle only, then those of K_ts, both by rows.

    Args:
        support: the number of support images, s.
        targets: the number of target images, t; 0 for K_ss alone.
        elements: about how many kernel elements a tile may hold, see `tile_elements`.

    Raises:
        ValueError: if a number is not positive (`targets` may be 0).
    """
    return gram_tiles(support, elements=elements) + cross_tiles(targets, support, elements=elements)


def tiles_of_step(
    spec: KernelSpec,
    image_shape: tuple[int, int, int],
    support: int,
    targets: int,
    *,
    asked: int | None = None,
) -> tuple[Tile, ...]:
    """Return the tiles of K_ss and then those of K_ts, as `plan_tiles` does.

    Args:
        spec: the kernel.
        image_shape: height, width and channels of an image.
        support: the number of support images, s.
        targets: the number of target images, t; 0 for K_ss alone.
        asked: about how many kernel elements a tile is to hold; None for what suits the kernel.
    """
    elements = asked or tile_elements(spec, image_shape)
    return gram_tiles(support, elements=elements) + tiles_of_targets(
        spec, image_shape, support, targets, asked=asked
    )


def tiles_of_targets(
    spec: KernelSpec,
    image_shape: tuple[int, int, int],
    support: int,
    targets: int,
    *,
    asked: int | None = None,
) -> tuple[Tile, ...]:
    """Return the tiles of K_ts alone, of `tiles_of_step`."""
    if asked is None:
        return cross_tiles(targets, support, elements=tile_elements(spec, image_shape))
    return tall_tiles(targets, support, elements=asked)


def tall_tiles(targets: int, support: int, *, elements: int) -> tuple[Tile, ...]:
    """Return tiles of K_ts of a size that was asked for, for which few bytes move.

    They are all but equal, and taller than wide: a target image is only sent, a support image is
    sent and has a gradient that comes back.

    Args:
        targets: the number of target images, t.
        support: the number of support images, s.
        elements: about how many kernel elements a tile is to hold; nothing bounds it.
    """
    columns = _support_spans(support, max(elements // _ROWS_TO_COLUMNS, 1))
    blocks = max(round(targets * columns[0][1] / elements), 1)
    size = max(math.ceil(targets / blocks), 1)
    if size > _ROW_GROUP:
        size += -size % _ROW_GROUP
    return tuple(
        Tile("cross", "ts", rows, cols) for rows in _spans(targets, size) for cols in columns
    )


def gram_tiles(support: int, *, elements: int = _MOST) -> tuple[Tile, ...]:
    """Return the tiles of K_ss: squares on the diagonal, rectangles above it, none below."""
    spans = _support_spans(support, elements)
    tiles = []
    for i, rows in enumerate(spans):
        tiles.append(Tile("gram", "ss", rows, rows))
        tiles += [Tile("cross", "ss", rows, cols) for cols in spans[i + 1 :]]
    return tuple(tiles)


def cross_tiles(targets: int, support: int, *, elements: int = _MOST) -> tuple[Tile, ...]:
    """Return the tiles of K_ts; a tile has all support images where they are few."""
    if targets < 0:
        raise ValueError(f"`targets` must not be negative, got {targets}")
    spans = _support_spans(support, elements)
    size = min(elements // (spans[0][1] - spans[0][0]), _MOST_ROWS)
    if size > _ROW_GROUP:
        size -= size % _ROW_GROUP
    return tuple(
        Tile("cross", "ts", rows, cols) for rows in _spans(targets, size) for cols in spans
    )


def tile_elements(spec: KernelSpec, image_shape: tuple[int, int, int]) -> int:
    """Return about how many kernel elements make a tile of seconds of work at most.

    Args:
        spec: the kernel.
        image_shape: height, width and channels of an image.

    Raises:
        ValueError: if the images are too small for the architecture's pools.
    """
    work = covariances_per_pair(spec, image_shape)
    return min(max(_WORK // work, _FEWEST), _MOST)


def covariances_per_pair(spec: KernelSpec, image_shape: tuple[int, int, int]) -> int:
    """Return how many covariances of pixel pairs one kernel element needs, summed over ReLUs."""
    h, w, channels = image_shape
    relus = sum(level.relus * level.covariances for level in pair_levels(spec.architecture, (h, w)))
    # A kernel without a ReLU on the image still reads every value of both.
    return relus + h * w * channels


def _support_spans(support: int, elements: int) -> tuple[Span, ...]:
    if support < 1:
        raise ValueError(f"`support` must be a positive number of images, got {support}")
    if elements < 1:
        raise ValueError(f"`elements` must be positive, got {elements}")
    blocks = math.ceil(support / math.isqrt(elements))
    return _spans(support, math.ceil(support / blocks))


def _spans(length: int, size: int) -> tuple[Span, ...]:
    return tuple((i, min(i + size, length)) for i in range(0, length, size))
