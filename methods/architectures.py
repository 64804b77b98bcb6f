"""The architectures by the names that the command line gives them."""

import math
from collections.abc import Sequence

from stillhouse.kernels.architecture import Architecture, conv, convnet, fc, myrtle

_DEPTHS = {"fc": 1, "conv": 3, "convnet": 3, "convnet3": 3, "myrtle": 5}
ARCHITECTURES = tuple(_DEPTHS)
POOLABLE = ("conv", "convnet", "convnet3")  # Flatten or global average pool, as one likes


def default_depth(name: str) -> int:
    """Return the depth of a family of which none is asked for."""
    return _DEPTHS[name]


def build_architecture(
    name: str,
    depth: int | None = None,
    *,
    W_std: float = math.sqrt(2.0),
    b_std: float = 0.1,
    global_pool: bool = False,
) -> Architecture:
    """Return the architecture of a family.

    Args:
        name: one of `ARCHITECTURES`.
        depth: its depth; None for the family's own.
        W_std: standard deviation of all weights.
        b_std: standard deviation of all biases.
        global_pool: end with a global average; `myrtle` always does.

    Raises:
        ValueError: if the family is unknown, has no such depth, or has nothing to pool.
    """
    if name not in _DEPTHS:
        raise ValueError(f"unknown architecture {name!r}, expected one of {', '.join(_DEPTHS)}")
    depth = _DEPTHS[name] if depth is None else depth
    if name == "fc":
        if global_pool:
            raise ValueError("`--global_pool` has no meaning for --architecture=fc; leave it out")
        return fc(depth, W_std=W_std, b_std=b_std)
    if name == "myrtle":
        return myrtle(depth, W_std=W_std, b_std=b_std)
    if name == "conv":
        return conv(depth, W_std=W_std, b_std=b_std, global_pool=global_pool)
    prepend = name == "convnet"
    return convnet(depth, prepend=prepend, W_std=W_std, b_std=b_std, global_pool=global_pool)


def parse_ensemble(members: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Return the (family, depth) of each `family:depth`, or `family` for its own depth.

    Raises:
        ValueError: if a member is not of that form, its family is unknown, or it comes twice.
    """
    parsed: list[tuple[str, int]] = []
    for member in members:
        name, colon, depth = member.partition(":")
        if name not in _DEPTHS:
            raise ValueError(
                f"`--ensemble`: unknown architecture {name!r}, expected one of "
                f"{', '.join(_DEPTHS)}, each with its depth, such as convnet:3,fc:2"
            )
        if colon and not (depth.isdecimal() and int(depth) > 0):
            raise ValueError(f"`--ensemble`: the depth in {member!r} must be a positive number")
        entry = (name, int(depth) if colon else _DEPTHS[name])
        if entry in parsed:
            raise ValueError(f"`--ensemble`: {entry[0]}:{entry[1]} is there twice")
        parsed.append(entry)
    return tuple(parsed)
