"""The layers that the networks share. They see one image `[h, w, c]`; a batch is a `jax.vmap`.

Channels come last: convolutions of many channels, and norms of each, take two thirds of the time on
a processor then. Weights keep the shapes that Equinox gives them.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

BATCH_AXIS = "batch"  # The name of the axis over which networks are mapped.
_EPSILON = 1e-5
_GROUPS = 4
_ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "sigmoid": jax.nn.sigmoid,
    "swish": jax.nn.swish,
}

Layers = list[Callable[..., Any]]


class BatchNorm(eqx.nn.StatefulLayer):
    """Normalise each channel over a batch and its pixels; at test time by running averages.

    Written out because Equinox's own normalises differently in the two versions that our two
    stacks need: by the running averages even in training in the older, by the batch in the newer.

    Attributes:
        weight: scale of each channel, float32 `[c, 1, 1]`.
        bias: shift of each channel, float32 `[c, 1, 1]`.
        running: where the state holds the averages of mean and variance, each `[c, 1, 1]`.
        inference: use these averages and leave them as they are.

    References:
        Ioffe, Szegedy. Batch Normalization. ICML 2015, https://arxiv.org/abs/1502.03167
    """

    weight: jax.Array
    bias: jax.Array
    running: eqx.nn.StateIndex
    inference: bool

    def __init__(self, channels: int) -> None:
        zeros = jnp.zeros((channels, 1, 1), jnp.float32)
        self.weight, self.bias = zeros + 1, zeros
        self.running = eqx.nn.StateIndex((zeros, zeros + 1))
        self.inference = False

    def __call__(
        self, x: jax.Array, state: eqx.nn.State, *, key: jax.Array | None = None
    ) -> tuple[jax.Array, eqx.nn.State]:
        """Return the normalised image `[h, w, c]`, and the state after this batch."""
        old = state.get(self.running)
        if self.inference:
            mean, variance = map(jnp.ravel, old)
        else:
            mean = _batch_mean(x)
            variance = _batch_mean((x - mean) ** 2)
            new = (
                0.9 * a + 0.1 * b.reshape(a.shape)
                for a, b in zip(old, (mean, variance), strict=True)
            )
            state = state.set(self.running, tuple(new))
        scale = self.weight.ravel() * jax.lax.rsqrt(variance + _EPSILON)
        return (x - mean) * scale + self.bias.ravel(), state


def _batch_mean(x: jax.Array) -> jax.Array:
    return jax.lax.pmean(x.mean(axis=(0, 1)), BATCH_AXIS)


class GroupNorm(eqx.Module):
    """Normalise each group of channels over its pixels.

    Attributes:
        groups: of how many the channels make.
        weight: scale of each channel, float32 `[c]`.
        bias: shift of each channel, float32 `[c]`.

    References:
        Wu, He. Group Normalization. ECCV 2018, https://arxiv.org/abs/1803.08494
    """

    groups: int = eqx.field(static=True)
    weight: jax.Array
    bias: jax.Array

    def __init__(self, groups: int, channels: int) -> None:
        self.groups = groups
        self.bias = jnp.zeros(channels, jnp.float32)
        self.weight = self.bias + 1

    def __call__(self, x: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        """Return the normalised image `[h, w, c]`."""
        around = x - self._mean(x)
        scale = self.weight * jax.lax.rsqrt(self._mean(jnp.square(around)) + _EPSILON)
        return around * scale + self.bias

    def _mean(self, x: jax.Array) -> jax.Array:
        """Return the mean of each channel's group, `[c]`."""
        # Channels first, then groups of them: an axis for groups beside that of channels would make
        # derivatives of derivatives take half as long again.
        channels = x.shape[2]
        by_group = x.mean(axis=(0, 1)).reshape(self.groups, -1).mean(axis=1)
        return jnp.repeat(by_group, channels // self.groups, total_repeat_length=channels)


class Conv(eqx.nn.Conv2d):
    """A convolution with zeros around the image."""

    def __call__(self, x: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        """Return the outputs `[h, w, o]` for an image `[h, w, c]`."""
        window = jnp.transpose(self.weight, (2, 3, 1, 0))
        layouts = ("NHWC", "HWIO", "NHWC")
        y = jax.lax.conv_general_dilated(
            x[None], window, self.stride, self.padding, dimension_numbers=layouts
        )[0]
        return y if self.bias is None else y + self.bias.ravel()


def conv(
    inputs: int,
    outputs: int,
    *,
    window: int = 3,
    stride: int = 1,
    bias: bool = True,
) -> Conv:
    """Return a convolution with zeros around the image: with stride 1 it keeps the size.

    Its weights are shapes alone, `jax.ShapeDtypeStruct`: `Network.init` draws them.
    """
    around = window // 2
    layer: Conv = undrawn(Conv, inputs, outputs, window, stride, padding=around, use_bias=bias)
    return layer


def dense(inputs: int, outputs: int) -> eqx.nn.Linear:
    """Return a fully connected layer, its weights as shapes alone."""
    return undrawn(eqx.nn.Linear, inputs, outputs)


def undrawn(layer: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return a layer of Equinox, its weights as shapes alone."""
    return eqx.filter_eval_shape(layer, *arguments, key=jax.random.PRNGKey(0), **options)


def norm_layers(norm: str, channels: int) -> Layers:
    """Return the layers of a normalisation: one, or none.

    Args:
        norm: one of `stillhouse.networks.NORMS`.
        channels: c.

    Raises:
        ValueError: if the channels do not make four groups.
    """
    if norm == "none":
        return []
    if norm == "batch":
        return [BatchNorm(channels)]
    groups = {"instance": channels, "layer": 1, "group": _GROUPS}[norm]
    if channels % groups:
        raise ValueError(
            f"`norm` group makes {_GROUPS} groups of the channels, which {channels} cannot; use a "
            f"`width` that is a multiple of {_GROUPS}"
        )
    return [GroupNorm(groups, channels)]


def activation(name: str) -> eqx.nn.Lambda:
    """Return one of `stillhouse.networks.ACTIVATIONS`; the leaky one has a slope of 0.01."""
    return eqx.nn.Lambda(_ACTIVATIONS[name])


def relu() -> eqx.nn.Lambda:
    """Return the rectifier."""
    return activation("relu")


def max_pool() -> eqx.nn.Lambda:
    """Return a max over windows of 2 x 2; a row and a column left over are dropped."""
    return eqx.nn.Lambda(_max_pool)


def _max_pool(x: jax.Array) -> jax.Array:
    return _windows(x).max(axis=(1, 3))


def average_pool() -> eqx.nn.Lambda:
    """Return a mean over windows of 2 x 2; a row and a column left over are dropped."""
    return eqx.nn.Lambda(_average_pool)


def _average_pool(x: jax.Array) -> jax.Array:
    return _windows(x).mean(axis=(1, 3))


def _windows(x: jax.Array) -> jax.Array:
    """Return the windows of 2 x 2 of an image, `[h / 2, 2, w / 2, 2, c]`.

    A reshape: on processors XLA's own windows take twice as long to go back through.
    """
    h, w, c = x.shape
    return x[: h // 2 * 2, : w // 2 * 2].reshape(h // 2, 2, w // 2, 2, c)


def pool(name: str) -> Layers:
    """Return the layers of one of `stillhouse.networks.POOLINGS`: one, or none."""
    if name == "none":
        return []
    return [max_pool() if name == "max" else average_pool()]


def flatten() -> eqx.nn.Lambda:
    """Return the readout that keeps every pixel as a feature of its own, channel by channel."""
    return eqx.nn.Lambda(_flatten)


def _flatten(x: jax.Array) -> jax.Array:
    return jnp.ravel(jnp.moveaxis(x, 2, 0))


def global_average() -> eqx.nn.Lambda:
    """Return the readout that averages each channel over all pixels."""
    return eqx.nn.Lambda(_global_average)


def _global_average(x: jax.Array) -> jax.Array:
    return x.mean(axis=(0, 1))


def check_pools(name: str, height: int, width: int, pools: int, mend: str) -> tuple[int, int]:
    """Return what `pools` halvings leave of an image's height and width.

    Args:
        name: the network's name, for the error.
        height: of the image.
        width: of the image.
        pools: how often it is halved, rounding down.
        mend: what to do about an image that is too small.

    Raises:
        ValueError: if nothing is left.
    """
    if min(height, width) < 2**pools:
        raise ValueError(
            f"images of {height} x {width} pixels are too small for {name}, which halves them "
            f"{pools} times and needs {2**pools} x {2**pools}; {mend}"
        )
    return height >> pools, width >> pools
