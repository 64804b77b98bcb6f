"""What a network of finite width draws for an architecture, of shapes alone."""

import dataclasses
from collections.abc import Sequence

from stillhouse.kernels.architecture import (
    Architecture,
    AvgPool,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
)
from stillhouse.kernels.spec import KernelSpec

WIDTH = 32
"""The width of networks where none is asked for."""


@dataclasses.dataclass(frozen=True)
class FeatureLayers:
    """The layers of a network before its last one, whose inputs are its features.

    Attributes:
        weights: of each layer with weights their shape, inputs before outputs, and the deviations
            `W_std` and `b_std`.
        size: how many features an image has, d.
        largest: the values of an image's widest layer.
    """

    weights: tuple[tuple[tuple[int, ...], float, float], ...]
    size: int
    largest: int


def feature_layers(
    architecture: Architecture, width: int, image_shape: Sequence[int]
) -> FeatureLayers:
    """Return the layers of a network for images of a shape.

    Args:
        architecture: the layers of infinite width.
        width: channels of every convolution, units of every hidden dense layer.
        image_shape: height, width and channels.
    """
    h, w, channels = image_shape
    weights: list[tuple[tuple[int, ...], float, float]] = []
    largest, units = h * w * channels, 0
    for layer in architecture.layers[:-1]:
        if isinstance(layer, Conv):
            weights.append(((*layer.window, channels, width), layer.W_std, layer.b_std))
            channels = width
            largest = max(largest, h * w * channels)
        elif isinstance(layer, AvgPool):
            h, w = h // layer.window[0], w // layer.window[1]
        elif isinstance(layer, Flatten | GlobalAvgPool):
            units = channels if isinstance(layer, GlobalAvgPool) else h * w * channels
        elif isinstance(layer, Dense):
            weights.append(((units, width), layer.W_std, layer.b_std))
            units = width
    return FeatureLayers(tuple(weights), units, largest)


def check_features(
    spec: KernelSpec,
    networks: int,
    support: int,
    image_shape: Sequence[int],
    flag: str,
    width: int = WIDTH,
) -> None:
    """Check that an estimate can stand in for a kernel.

    Args:
        spec: the kernel.
        networks: how many there are to be.
        support: images in the support set.
        image_shape: height, width and channels.
        flag: what asks for them, for messages.
        width: of the networks.

    Raises:
        ValueError: if features cannot estimate it, or are fewer than the support images.
    """
    if spec.kind != "nngp":
        raise ValueError(
            f"`--{flag}`: random features are those of the NNGP kernel, and this one is the "
            f"{spec.kind.upper()}; give --kernel=nngp, or leave --{flag} out"
        )
    size = feature_layers(spec.architecture, width, image_shape).size
    if networks * size < support:
        raise ValueError(
            f"`--{flag}`: {networks:,} {'network' if networks == 1 else 'networks'} of width "
            f"{width} make {networks * size:,} features, fewer than the {support:,} support "
            f"images, whose kernel would be singular; use {-(-support // size):,} networks or more"
        )
