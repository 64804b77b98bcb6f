"""An AlexNet for small images."""

import equinox as eqx

from stillhouse.networks.layers import (
    Layers,
    check_pools,
    conv,
    dense,
    flatten,
    max_pool,
    norm_layers,
    relu,
)

_LAYERS = ((5, 2, True), (5, 3, True), (3, 4, False), (3, 3, False), (3, 3, True))


def alexnet(
    image_shape: tuple[int, int, int], num_classes: int, *, width: int, norm: str
) -> eqx.nn.Sequential:
    """Return five convolutions, three with a max pool behind them, and one dense layer.

    Args:
        image_shape: height, width and channels; 8 x 8 pixels at least.
        num_classes: the number of outputs.
        width: channels of the first convolution; the others have 3/2, 2, 3/2 and 3/2 as many,
            rounded up. 128 as published.
        norm: one of `NORMS`, behind every convolution.

    Raises:
        ValueError: if the image is too small.

    References:
        Krizhevsky, Sutskever, Hinton. ImageNet Classification with Deep Convolutional Neural
        Networks. NeurIPS 2012
        Zhao, Mopuri, Bilen. Dataset Condensation with Gradient Matching. ICLR 2021,
        https://arxiv.org/abs/2006.05929 (the form for small images)
    """
    h, w, channels = image_shape
    h, w = check_pools("alexnet", h, w, 3, "use another network, such as mlp or vgg11")
    layers: Layers = []
    for window, halves, pool in _LAYERS:
        outputs = -(-width * halves // 2)
        layers += [conv(channels, outputs, window=window), *norm_layers(norm, outputs), relu()]
        layers += [max_pool()] if pool else []
        channels = outputs
    return eqx.nn.Sequential([*layers, flatten(), dense(h * w * channels, num_classes)])
