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
