"""What the programs of kernels have in common: their sets of images, and how to cut these."""

import numpy as np

from stillhouse.methods.programs.program import Types


def check_images(what: str, shared: Types, count: int) -> None:
    """Check that a program has so many sets of images, float32 `[n, h, w, c]` of one size.

    Raises:
        ValueError: if not.
    """
    if len(shared) != count:
        raise ValueError(f"a {what} does not take {len(shared)} sets of images, but {count}")
    for x in shared:
        if len(x.shape) != 4 or x.dtype != np.float32:
            raise ValueError(f"images must be float32 [n, h, w, c], got {x.dtype} {list(x.shape)}")
        if tuple(x.shape[1:]) != tuple(shared[0].shape[1:]):
            raise ValueError("both sets of images must be of one size")


def check_nothing_own(what: str, own: Types) -> None:
    """Check that there are no arrays of the task's own.

    Raises:
        ValueError: if there are.
    """
    if own:
        raise ValueError(f"a {what} takes no arrays of its own, got {len(own)}")


def check_cotangent(what: str, own: Types, block: tuple[int, int]) -> None:
    """Check that a task's own is the cotangent dL/dK of a block, float32.

    Raises:
        ValueError: if not.
    """
    if len(own) != 1:
        raise ValueError(f"a {what} takes one array of its own, the cotangent, got {len(own)}")
    (g,) = own
    if tuple(g.shape) != block or g.dtype != np.float32:
        raise ValueError(
            f"the cotangent must be float32 {list(block)}, got {g.dtype} {list(g.shape)}"
        )


def block_of(shared: Types) -> tuple[int, int]:
    """Return the rows and columns of the block of one set of images, or of two."""
    return shared[0].shape[0], shared[-1].shape[0]


def triangle_of(shared: Types) -> int:
    """Return the elements of a symmetric square on and above its diagonal."""
    n, _ = block_of(shared)
    return n * (n + 1) // 2


def describe_images(what: str, shared: Types) -> str:
    """Return how many images a program is about."""
    return f"{what} of {' x '.join(str(x.shape[0]) for x in shared)} images"


def half_spans(n: int) -> tuple[slice, slice]:
    """Return the first half of so many, and the rest."""
    return slice(0, (n + 1) // 2), slice((n + 1) // 2, n)


def longer(shared: Types) -> int:
    """Return which of two sets has more images; 0 where both have as many."""
    return int(shared[1].shape[0] > shared[0].shape[0])
