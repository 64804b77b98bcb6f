"""VGG-11 for small images."""

import equinox as eqx

from stillhouse.networks.layers import (
    Layers,
    conv,
    dense,
    flatten,
    max_pool,
    norm_layers,
    relu,
)

# Channels in units of the width; True: a pool behind.
_LAYERS = (
    (1, True),
    (2, True),
    (4, False),
    (4, True),
    (8, False),
    (8, True),
    (8, False),
    (8, True),
)


def vgg11(
    image_shape: tuple[int, int, int], num_classes: int, *, width: int, norm: str
) -> eqx.nn.Sequential:
    """Return eight convolutions with five max pools, and one dense layer.

    A pool that would leave nothing of a small image is left out: 32 x 32 pixels meet all five,
    28 x 28 four.

    Args:
        image_shape: height, width and channels.
        num_classes: the number of outputs.
        width: channels of the first convolution; the last have 8 times as many. 64 as published.
        norm: one of `NORMS`, behind every convolution.

    References:
        Simonyan, Zisserman. Very Deep Convolutional Networks for Large-Scale Image Recognition.
        ICLR 2015, https://arxiv.org/abs/1409.1556 (configuration A)
    """
    h, w, channels = image_shape
    layers: Layers = []
    for units, pool in _LAYERS:
        outputs = units * width
        layers += [conv(channels, outputs), *norm_layers(norm, outputs), relu()]
        if pool and min(h, w) >= 2:
            layers += [max_pool()]
            h, w = h // 2, w // 2
        channels = outputs
    return eqx.nn.Sequential([*layers, flatten(), dense(h * w * channels, num_classes)])
