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

Width = int | tuple[int, ...]
"""Channels of every convolution and units of every hidden dense layer, or those of each in turn."""

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
    architecture: Architecture, width: Width, image_shape: Sequence[int]
) -> FeatureLayers:
    """Return the layers of a network for images of a shape.

    Args:
        architecture: the layers of infinite width.
        width: of all layers, or of each.
        image_shape: height, width and channels.

    Raises:
        ValueError: if there are more widths than layers, or fewer.
    """
    widths = iter(_of_each(architecture, width))
    h, w, channels = image_shape
    weights: list[tuple[tuple[int, ...], float, float]] = []
    largest, units = h * w * channels, 0
    for layer in architecture.layers[:-1]:
        if isinstance(layer, Conv):
            channels_before, channels = channels, next(widths)
            shape = *layer.window, channels_before, channels
            weights.append((shape, layer.W_std, layer.b_std))
            largest = max(largest, h * w * channels)
        elif isinstance(layer, AvgPool):
            h, w = h // layer.window[0], w // layer.window[1]
        elif isinstance(layer, Flatten | GlobalAvgPool):
            units = channels if isinstance(layer, GlobalAvgPool) else h * w * channels
        elif isinstance(layer, Dense):
            units_before, units = units, next(widths)
            weights.append(((units_before, units), layer.W_std, layer.b_std))
    return FeatureLayers(tuple(weights), units, largest)


def _of_each(architecture: Architecture, width: Width) -> tuple[int, ...]:
    """Return the width of each layer with weights but the last one."""
    count = sum(isinstance(layer, Conv | Dense) for layer in architecture.layers[:-1])
    if isinstance(width, int):
        return (width,) * count
    if len(width) != count:
        raise ValueError(
            "widths must be one for each layer with weights but the last, of which this network "
            f"has {count}, got {len(width)}: {_shown(width)}"
        )
    return width


def _shown(width: Width) -> str:
    return str(width) if isinstance(width, int) else ",".join(map(str, width))


def check_features(
    spec: KernelSpec,
    networks: int,
    support: int,
    image_shape: Sequence[int],
    flag: str,
    width: Width = WIDTH,
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
        ValueError: if features cannot estimate it, are fewer than the support images, or widths
            are not one for each layer.
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
            f"{_shown(width)} make {networks * size:,} features, fewer than the {support:,} "
            "support images, whose kernel would be singular; use "
            f"{-(-support // size):,} networks or more"
        )
