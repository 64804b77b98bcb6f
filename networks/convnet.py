"""The ConvNet of dataset distillation."""

import equinox as eqx

from stillhouse.networks.layers import (
    Layers,
    check_pools,
    conv,
    dense,
    flatten,
    norm_layers,
    pool,
)
from stillhouse.networks.layers import activation as act


def convnet(
    image_shape: tuple[int, int, int],
    num_classes: int,
    *,
    width: int,
    depth: int,
    norm: str,
    pooling: str,
    activation: str,
    prepend: bool,
) -> eqx.nn.Sequential:
    """Return `depth` blocks of convolution, norm, activation and pool, then a dense layer.

    At infinite width, with average pools, ReLU and no norm it is
    `stillhouse.kernels.convnet(depth, prepend=prepend)`.

    Args:
        image_shape: height, width and channels.
        num_classes: the number of outputs.
        width: channels of every convolution.
        depth: the number of blocks; each halves the image, where there are pools.
        norm: one of `NORMS`, behind every convolution.
        pooling: one of `POOLINGS`, at the end of every block.
        activation: one of `ACTIVATIONS`.
        prepend: put one more convolution before the first block.

    Raises:
        ValueError: if the image is too small for `depth` pools.

    References:
        Gidaris, Komodakis. Dynamic Few-Shot Visual Learning without Forgetting. CVPR 2018,
        https://arxiv.org/abs/1804.09458 (the network)
        Nguyen, Novak, Xiao, Lee. Dataset Distillation with Infinitely Wide Convolutional
        Networks. NeurIPS 2021, https://arxiv.org/abs/2107.13034 (the first convolution)
    """
    h, w, channels = image_shape
    if pooling != "none":
        h, w = check_pools("convnet", h, w, depth, "use a smaller depth")
    layers: Layers = []
    for block in range(0 if prepend else 1, depth + 1):
        layers += [conv(channels, width), *norm_layers(norm, width), act(activation)]
        layers += pool(pooling) if block else []
        channels = width
    return eqx.nn.Sequential([*layers, flatten(), dense(h * w * channels, num_classes)])
