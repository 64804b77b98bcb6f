"""ResNet-18 for small images."""

import math

import equinox as eqx
import jax

from stillhouse.networks.layers import (
    Layers,
    conv,
    dense,
    global_average,
    norm_layers,
    relu,
)


class ResidualBlock(eqx.nn.StatefulLayer):
    """Two convolutions, and a way around them.

    Without norm the sum is divided by the root of two: else the outputs of the random network
    would double their variance with every block.

    Attributes:
        main: the convolutions.
        shortcut: what brings the input to the shape of the outputs.
        scale: what the sum is multiplied by.
    """

    main: eqx.nn.Sequential
    shortcut: eqx.nn.Sequential
    scale: float = eqx.field(static=True)

    def __init__(self, inputs: int, outputs: int, stride: int, norm: str) -> None:
        bias = norm == "none"
        self.main = eqx.nn.Sequential(
            [
                conv(inputs, outputs, stride=stride, bias=bias),
                *norm_layers(norm, outputs),
                relu(),
                conv(outputs, outputs, bias=bias),
                *norm_layers(norm, outputs),
            ]
        )
        changes = stride != 1 or inputs != outputs
        around = conv(inputs, outputs, window=1, stride=stride, bias=bias)
        self.shortcut = eqx.nn.Sequential([around, *norm_layers(norm, outputs)] if changes else [])
        self.scale = math.sqrt(0.5) if norm == "none" else 1.0

    def __call__(
        self, x: jax.Array, state: eqx.nn.State, *, key: jax.Array | None = None
    ) -> tuple[jax.Array, eqx.nn.State]:
        """Return the block's outputs `[h, w, c]`, and the state after it."""
        y, state = self.main(x, state)
        around, state = self.shortcut(x, state)
        return jax.nn.relu((y + around) * self.scale), state


def resnet18(
    image_shape: tuple[int, int, int], num_classes: int, *, width: int, norm: str
) -> eqx.nn.Sequential:
    """Return ResNet-18 in the form for CIFAR: a 3 x 3 convolution first, no pool behind it.

    Args:
        image_shape: height, width and channels.
        num_classes: the number of outputs.
        width: channels of the first stage; the fourth has 8 times as many. 64 as published.
        norm: one of `NORMS`, behind every convolution; batch as published.

    References:
        He, Zhang, Ren, Sun. Deep Residual Learning for Image Recognition. CVPR 2016,
        https://arxiv.org/abs/1512.03385
    """
    first = conv(image_shape[2], width, bias=norm == "none")
    layers: Layers = [first, *norm_layers(norm, width), relu()]
    channels = width
    for units, stride in ((1, 1), (2, 2), (4, 2), (8, 2)):
        layers += [ResidualBlock(channels, units * width, stride, norm)]
        layers += [ResidualBlock(units * width, units * width, 1, norm)]
        channels = units * width
    return eqx.nn.Sequential([*layers, global_average(), dense(channels, num_classes)])
