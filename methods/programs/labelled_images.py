"""What programs that show networks raw images have in common: images, classes, weights."""

from collections.abc import Sequence

import numpy as np

from stillhouse.methods.programs.program import Typed, Types
from stillhouse.networks import NetworkSpec, build_network


def check_labelled(images: Typed, classes: Typed) -> None:
    """Check that there are images `[n, h, w, c]`, and a class int64 for each.

    Raises:
        ValueError: if not.
    """
    n = tuple(images.shape[:1])
    if len(images.shape) != 4 or tuple(classes.shape) != n or classes.dtype != np.int64:
        raise ValueError(
            f"images [n, h, w, c] and a class int64 for each belong together, got "
            f"{list(images.shape)} and {classes.dtype} {list(classes.shape)}"
        )


def check_weights(
    weights: Typed, network: NetworkSpec, image_shape: Sequence[int], num_classes: int
) -> None:
    """Check that there are packed weights of a network, float32 `[size]`.

    Raises:
        ValueError: if not, or there is no such network for these images.
    """
    h, w, c = image_shape
    size = build_network(network, (h, w, c), num_classes).size
    if tuple(weights.shape) != (size,) or weights.dtype != np.float32:
        raise ValueError(
            f"weights must be float32 [{size}], got {weights.dtype} {list(weights.shape)}"
        )


def check_transform_arrays(what: str, shared: Types, before: int, names: Sequence[str]) -> None:
    """Check that behind so many arrays come those of a transform.

    Raises:
        ValueError: if not.
    """
    if len(shared) != before + len(names):
        raise ValueError(f"{what} takes {before + len(names)} shared arrays, got {len(shared)}")
