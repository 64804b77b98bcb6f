"""How much memory a block takes on a device, and so how large it may be."""

from stillhouse.kernels.architecture import Architecture
from stillhouse.kernels.band import pair_levels
from stillhouse.kernels.device_memory import model_bytes

# Arrays of the size of a level's row of displacements that are alive at once, and of the size of
# what the next level gets, counted in XLA's own plans for the CPU: at most so many in the gradient
# of listed pairs, which takes the most.
_ROWS, _BANDS = 40, 16
# Beyond this a device is busy anyway; and a large part of it must stay for what else it computes.
_MOST_BYTES = 1 << 32
_SHARE = 8


def pair_bytes(architecture: Architecture, shape: tuple[int, int], itemsize: int = 4) -> int:
    """Return the bytes that one pair of images takes at most, while it is differentiated.

    Args:
        architecture: the network.
        shape: height and width of the images.
        itemsize: bytes of a number.
    """
    levels = pair_levels(architecture, shape)
    rows = [(2 * level.radius[1] + 1) * level.shape[0] * level.shape[1] for level in levels]
    bands = ((2 * level.radius[0] + 1) * row for level, row in zip(levels, rows, strict=True))
    # Between the levels whole bands are kept; of the first one there are only rows.
    between = sum(bands) - (2 * levels[0].radius[0] + 1) * rows[0]
    return itemsize * (_ROWS * max(rows) + _BANDS * between)


def block_bytes() -> int:
    """Return how many bytes a block may take on JAX's default device.

    The same on every device of one model: block sizes decide the order of sums, and so the last
    bits.
    """
    total = model_bytes()
    return _MOST_BYTES if total is None else min(_MOST_BYTES, total // _SHARE)
