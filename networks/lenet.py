"""LeNet, as dataset distillation uses it."""

import equinox as eqx

from stillhouse.networks.channels_first import ChannelsFirst, conv, flatten, max_pool
from stillhouse.networks.layers import Layers, dense, relu

_WINDOW = 5
_SMALLEST = 12


def lenet(image_shape: tuple[int, int, int], num_classes: int) -> eqx.nn.Sequential:
    """Return two convolutions of 5 x 5 with max pools behind them, and three dense layers.

    6 and 16 channels, 120 and 84 hidden units. Images smaller than 32 x 32 pixels get two rows and
    columns of zeros on every side before the first convolution; nothing does after it.

    Args:
        image_shape: height, width and channels; 12 x 12 pixels at least.
        num_classes: the number of outputs.

    Raises:
        ValueError: if the image is too small.

    References:
        LeCun, Bottou, Bengio, Haffner. Gradient-based learning applied to document recognition.
        Proceedings of the IEEE, 1998
        Wang, Zhu, Torralba, Efros. Dataset Distillation. 2018, https://arxiv.org/abs/1811.10959
        (the form with ReLU and max pools)
    """
    h, w, channels = image_shape
    if min(h, w) < _SMALLEST:
        raise ValueError(
            f"images of {h} x {w} pixels are too small for lenet, which needs {_SMALLEST} x "
            f"{_SMALLEST}; use another network, such as mlp or convnet"
        )
    around = _WINDOW // 2 if min(h, w) < 32 else 0
    layers: Layers = []
    for outputs in (6, 16):
        layers += [conv(channels, outputs, window=_WINDOW, padding=around), relu(), max_pool()]
        h, w = ((n + 2 * around - _WINDOW + 1) // 2 for n in (h, w))
        channels, around = outputs, 0
    features = h * w * channels
    layers += [flatten(), dense(features, 120), relu(), dense(120, 84), relu()]
    return ChannelsFirst([*layers, dense(84, num_classes)])
