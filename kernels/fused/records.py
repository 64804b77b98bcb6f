"""What the compiled loops are told: tables of numbers, the same kind for every network."""

import dataclasses

import numpy as np

LAYER = np.dtype(
    [
        ("rows", np.int64),  # the filter's height and width
        ("columns", np.int64),
        ("scale", np.float32),  # W_std^2 / (rows columns), times the factor the input was left with
        ("bias", np.float32),  # b_std^2
        ("sees_image", np.bool_),  # whether its input is the image, where t = 0
        ("rectified", np.bool_),  # whether a ReLU follows
        ("maps", np.int64),  # first pixel of this layer's variance map among those of an image
        ("window_n", np.int64),  # work rows: the last input rows, summed along the columns
        ("window_t", np.int64),
        ("kept_n", np.int64),  # work rows: n and t before the ReLU, until the vjp returns to them
        ("kept_t", np.int64),
        ("kept_rows", np.int64),
        ("back_n", np.int64),  # work rows: the last cotangent rows, summed along the columns
        ("back_t", np.int64),
    ],
    align=True,
)

LEVEL = np.dtype(
    [
        ("height", np.int64),
        ("width", np.int64),
        ("first_layer", np.int64),
        ("end_layer", np.int64),
        ("lag", np.int64),  # rows between a row of the input and the last layer's same row
        ("band_i", np.int64),  # largest displacements needed, down and across
        ("band_j", np.int64),
        ("pool_i", np.int64),
        ("pool_j", np.int64),
        ("out_height", np.int64),
        ("out_width", np.int64),
        ("out_i", np.int64),  # largest displacements of the pooled sums
        ("out_j", np.int64),
        ("in_planes", np.int64),  # where `planes` begins to list the input's displacement planes
        ("out_planes", np.int64),
        ("phases", np.int64),  # where `phases` begins to list the pool's columns
        ("out_start", np.int64),  # the rows of the pooled sums that this level writes
        ("out_end", np.int64),
        ("row_n", np.int64),  # work rows: one row of n and of t, with zeros on both sides
        ("row_t", np.int64),
        ("border", np.int64),  # how many zeros
    ],
    align=True,
)

PHASE = np.dtype(
    [
        ("shift", np.int64),  # displacement D of the cells that take columns j with j % k = phase
        ("start", np.int64),  # the cells, from the first to one past the last (none: equal)
        ("end", np.int64),
    ],
    align=True,
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """The tables of one architecture at one image size.

    Attributes:
        levels: array of `LEVEL` records.
        layers: array of `LAYER` records, level after level.
        planes: for the output of each level and each displacement of it, the first row of its
            plane among the pooled sums. A plane holds the pixels p for which p + d lies inside,
            and nothing else.
        phases: array of `PHASE` records: for each level, each displacement along the columns and
            each column of the pool's window, the cells of a row that take part.
        pooled_rows: how many rows the pooled sums of all levels have.
        work_rows: how many rows the loops need besides.
        map_pixels: pixels of all variance maps of an image.
        readout_scale: what the sum over the last level's output is multiplied with.
    """

    levels: np.ndarray
    layers: np.ndarray
    planes: np.ndarray
    phases: np.ndarray
    pooled_rows: int
    work_rows: int
    map_pixels: int
    readout_scale: float
