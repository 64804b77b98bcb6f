"""The ConvNet of dataset distillation."""

import equinox as eqx

from stillhouse.networks.layers import (
    Layers,
    check_pools,
    conv,
    dense,
    flatten,
    norm_layers,
    relu,
)


def convnet(
    image_shape: tuple[int, int, int],
    num_classes: int,
    *,
    width: int,
    depth: int = 3,
    norm: str = "none",
    prepend: bool = True,
) -> eqx.nn.Sequential:
    """Return `depth` blocks of convolution, norm, ReLU and average pool, then a dense layer.

    At infinite width and without norm it is `stillhouse.kernels.convnet(depth, prepend=prepend)`.

    Args:
        image_shape: height, width and channels.
        num_classes: the number of outputs.
        width: channels of every convolution.
        depth: the number of blocks; each halves the image.
        norm: one of `NORMS`, behind every convolution.
        prepend: put one more convolution and ReLU before the first block.

    Raises:
        ValueError: if the image is too small for `depth` pools.

    References:
        Gidaris, Komodakis. Dynamic Few-Shot Visual Learning without Forgetting. CVPR 2018,
        https://arxiv.org/abs/1804.09458 (the network)
        Nguyen, Novak, Xiao, Lee. Dataset Distillation with Infinitely Wide Convolutional
        Networks. NeurIPS 2021, https://arxiv.org/abs/2107.13034 (the first convolution)
    """
    h, w, channels = image_shape
    h, w = check_pools("convnet", h, w, depth, "use a smaller depth")
    layers: Layers = []
    if prepend:
        layers += [conv(channels, width), *norm_layers(norm, width), relu()]
        channels = width
    for _ in range(depth):
        layers += [conv(channels, width), *norm_layers(norm, width), relu()]
        layers += [eqx.nn.AvgPool2d(2, 2)]
        channels = width
    return eqx.nn.Sequential([*layers, flatten(), dense(h * w * channels, num_classes)])
