"""The fully connected network."""

import math

import equinox as eqx

from stillhouse.networks.layers import Layers, dense, flatten
from stillhouse.networks.layers import activation as act


def mlp(
    image_shape: tuple[int, int, int], num_classes: int, *, width: int, depth: int, activation: str
) -> eqx.nn.Sequential:
    """Return `depth` hidden layers, then the outputs.

    At infinite width and with ReLU it is `stillhouse.kernels.fc(depth)`.

    Args:
        image_shape: height, width and channels.
        num_classes: the number of outputs.
        width: units of every hidden layer.
        depth: the number of hidden layers.
        activation: one of `ACTIVATIONS`, behind each of them.
    """
    layers: Layers = [flatten()]
    features = math.prod(image_shape)
    for _ in range(depth):
        layers += [dense(features, width), act(activation)]
        features = width
    return eqx.nn.Sequential([*layers, dense(features, num_classes)])
