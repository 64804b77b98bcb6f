"""Cut blocks into sub-blocks of one fixed size, so that memory and compilation stay bounded."""

import numpy as np


def sub_blocks(n1: int, n2: int, size: tuple[int, int]) -> list[tuple[slice, slice]]:
    """Return the rows and columns of each sub-block, row by row; the last ones may be smaller."""
    return [
        (slice(i, min(i + size[0], n1)), slice(j, min(j + size[1], n2)))
        for i in range(0, n1, size[0])
        for j in range(0, n2, size[1])
    ]


def padded(x: np.ndarray, size: int, axis: int = 0) -> np.ndarray:
    """Return `x` with its last entry along `axis` repeated up to `size`.

    Repeats, not zeros: a ragged sub-block then has the shape that was compiled, and its surplus
    is as well-behaved as the rest.
    """
    missing = size - x.shape[axis]
    if missing == 0:
        return x
    return np.concatenate([x, np.repeat(np.take(x, [-1], axis), missing, axis)], axis)
