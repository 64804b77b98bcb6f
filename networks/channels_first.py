"""Layers for networks of few channels. They see one image `[c, h, w]`; a batch is a `jax.vmap`."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from stillhouse.networks.layers import undrawn
from stillhouse.networks.narrow_conv import narrow_conv


class ChannelsFirst(eqx.nn.Sequential):
    """Layers of this module, for images `[h, w, c]`.

    On a processor a step through six channels takes two thirds of the time that it takes with the
    channels last; it is the other way round with thirty-two.
    """

    def __init__(self, layers: Sequence[Callable[..., Any]]) -> None:
        super().__init__(layers)

    def __call__(self, x: jax.Array, *state: eqx.nn.State, key: jax.Array | None = None) -> Any:
        """Return what the layers make of the image, and the state where one was given."""
        return super().__call__(jnp.moveaxis(x, 2, 0), *state)

    def __getitem__(self, layers: int | slice) -> Any:
        """Return one of the layers, or several of them for images as before."""
        part = self.layers[layers]
        return ChannelsFirst(part) if isinstance(layers, slice) else part


class NarrowConv(eqx.nn.Conv2d):
    """A convolution of stride 1, by `narrow_conv` on a processor."""

    def __call__(self, x: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        """Return the outputs `[o, h, w]` for an image `[c, h, w]`."""
        if jax.default_backend() != "cpu":
            return super().__call__(x)
        y = narrow_conv(jnp.pad(x, ((0, 0), *self.padding))[None], self.weight)[0]
        return y if self.bias is None else y + self.bias


def conv(inputs: int, outputs: int, *, window: int, padding: int) -> NarrowConv:
    """Return a convolution with `padding` zeros on every side; its weights are shapes alone."""
    layer: NarrowConv = undrawn(NarrowConv, inputs, outputs, window, 1, padding=padding)
    return layer


def max_pool() -> eqx.nn.Lambda:
    """Return a max over windows of 2 x 2; a row and a column left over are dropped."""
    return eqx.nn.Lambda(_max_pool)


def _max_pool(x: jax.Array) -> jax.Array:
    c, h, w = x.shape
    windows = x[:, : h // 2 * 2, : w // 2 * 2].reshape(c, h // 2, 2, w // 2, 2)
    return windows.max(axis=(2, 4))


def flatten() -> eqx.nn.Lambda:
    """Return the readout that keeps every pixel as a feature of its own."""
    return eqx.nn.Lambda(jnp.ravel)
