"""The fully connected network."""

import math

import equinox as eqx

from stillhouse.networks.layers import Layers, dense, flatten, relu


def mlp(
    image_shape: tuple[int, int, int], num_classes: int, *, width: int, depth: int = 2
) -> eqx.nn.Sequential:
    """Return `depth` hidden layers with ReLU, then the outputs.

    At infinite width it is `stillhouse.kernels.fc(depth)`.

    Args:
        image_shape: height, width and channels.
        num_classes: the number of outputs.
        width: units of every hidden layer.
        depth: the number of hidden layers.
    """
    layers: Layers = [flatten()]
    features = math.prod(image_shape)
    for _ in range(depth):
        layers += [dense(features, width), relu()]
        features = width
    return eqx.nn.Sequential([*layers, dense(features, num_classes)])
