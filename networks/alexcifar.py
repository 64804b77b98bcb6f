"""AlexCifarNet: the network for 32 x 32 colour images of Wang et al. 2018."""

import equinox as eqx
import jax
import jax.numpy as jnp

from stillhouse.networks.layers import Layers, check_pools, conv, dense, flatten, relu

_CHANNELS = 64
_NEIGHBOURS = 4


def alexcifar(image_shape: tuple[int, int, int], num_classes: int) -> eqx.nn.Sequential:
    """Return two convolutions of 5 x 5 and 64 channels, and three dense layers.

    Max pools of 3 x 3 and stride 2, local response normalisation, 384 and 192 hidden units.

    Args:
        image_shape: height, width and channels; 32 x 32 x 3 as published.
        num_classes: the number of outputs.

    Raises:
        ValueError: if the image is too small.

    References:
        Krizhevsky, Sutskever, Hinton. ImageNet Classification with Deep Convolutional Neural
        Networks. NeurIPS 2012 (the normalisation)
        Wang, Zhu, Torralba, Efros. Dataset Distillation. 2018, https://arxiv.org/abs/1811.10959
    """
    h, w, channels = image_shape
    check_pools("alexcifar", h, w, 2, "use another network, such as mlp")
    pool = eqx.nn.Lambda(_wide_pool)
    normalise = eqx.nn.Lambda(_response_norm)
    layers: Layers = [conv(channels, _CHANNELS, window=5), relu(), pool, normalise]
    layers += [conv(_CHANNELS, _CHANNELS, window=5), relu(), normalise, pool]
    h, w = ((n + 3) // 4 for n in (h, w))  # Each pool halves, rounding up.
    layers += [flatten(), dense(h * w * _CHANNELS, 384), relu(), dense(384, 192), relu()]
    return eqx.nn.Sequential([*layers, dense(192, num_classes)])


def _wide_pool(x: jax.Array) -> jax.Array:
    """Return the largest of windows of 3 x 3 around every other pixel, `[h / 2, w / 2, c]`."""
    around = ((1, 1), (1, 1), (0, 0))
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (3, 3, 1), (2, 2, 1), around)


def _response_norm(x: jax.Array) -> jax.Array:
    """Divide by `(1 + a m)^0.75`, m the mean square over four neighbouring channels, `[h, w, c]`.

    a = 0.001 / 9; the neighbours are the two channels before, the channel itself and the one
    behind, and where there is none it counts as zero.
    """
    count = x.shape[2]
    squares = jnp.pad(jnp.square(x), ((0, 0), (0, 0), (_NEIGHBOURS // 2, (_NEIGHBOURS - 1) // 2)))
    near = sum((squares[..., i : i + count] for i in range(_NEIGHBOURS)), jnp.zeros_like(x))
    return x * (1.0 + (0.001 / 9.0 / _NEIGHBOURS) * near) ** -0.75
