"""Finite networks: what they start from, what they answer, and how they are trained."""

from typing import TYPE_CHECKING

from stillhouse.networks.spec import (
    ACTIVATIONS,
    INITIALISATIONS,
    NETWORKS,
    NORMS,
    PARAMETERISATIONS,
    POOLINGS,
    NetworkSpec,
)

if TYPE_CHECKING:
    from stillhouse.networks.network import Network

__all__ = [
    "ACTIVATIONS",
    "INITIALISATIONS",
    "NETWORKS",
    "NORMS",
    "PARAMETERISATIONS",
    "POOLINGS",
    "NetworkSpec",
    "build_network",
]


def build_network(
    spec: NetworkSpec, image_shape: tuple[int, int, int], num_classes: int
) -> "Network":
    """Return the network of a spec, for images of this shape.

    Args:
        spec: which network.
        image_shape: height, width and channels.
        num_classes: the number of outputs k.

    Raises:
        ValueError: if the image is too small for it, or a norm does not fit the channels.
    """
    from stillhouse.networks.building import build  # JAX is not needed to name a network.

    return build(spec, image_shape, num_classes)
