"""The layers that the networks share. They see one image `[c, h, w]`; a batch is a `jax.vmap`."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from stillhouse.networks.narrow_conv import narrow_conv

BATCH_AXIS = "batch"  # The name of the axis over which networks are mapped.
_EPSILON = 1e-5
_GROUPS = 4
# Channels times columns of a window, up to which a convolution is narrow.
_NARROW = 32
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
        """Return the normalised image `[c, h, w]`, and the state after this batch."""
        if self.inference:
            mean, variance = state.get(self.running)
        else:
            mean = _batch_mean(x)
            variance = _batch_mean((x - mean) ** 2)
            old = state.get(self.running)
            new = (0.9 * a + 0.1 * b for a, b in zip(old, (mean, variance), strict=True))
            state = state.set(self.running, tuple(new))
        normal = (x - mean) * jax.lax.rsqrt(variance + _EPSILON)
        return self.weight * normal + self.bias, state


def _batch_mean(x: jax.Array) -> jax.Array:
    return jax.lax.pmean(x.mean(axis=(1, 2), keepdims=True), BATCH_AXIS)


class NarrowConv(eqx.nn.Conv2d):
    """A convolution of few channels and stride 1, by `narrow_conv` on a processor."""

    def __call__(self, x: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        """Return the outputs `[o, h, w]` for an image `[c, h, w]`."""
        if jax.default_backend() != "cpu":
            return super().__call__(x)
        y = narrow_conv(jnp.pad(x, ((0, 0), *self.padding))[None], self.weight)[0]
        return y if self.bias is None else y + self.bias


def conv(
    inputs: int,
    outputs: int,
    *,
    window: int = 3,
    stride: int = 1,
    padding: int | None = None,
    bias: bool = True,
) -> eqx.nn.Conv2d:
    """Return a convolution with zeros around the image: with stride 1 it keeps the size.

    With another `padding` than half the window it does not.

    Its weights are shapes alone, `jax.ShapeDtypeStruct`: `Network.init` draws them.
    """
    around = window // 2 if padding is None else padding
    narrow = stride == 1 and inputs * window <= _NARROW
    layer = NarrowConv if narrow else eqx.nn.Conv2d
    return _undrawn(layer, inputs, outputs, window, stride, padding=around, use_bias=bias)


def dense(inputs: int, outputs: int) -> eqx.nn.Linear:
    """Return a fully connected layer, its weights as shapes alone."""
    return _undrawn(eqx.nn.Linear, inputs, outputs)


def _undrawn(layer: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
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
    return [eqx.nn.GroupNorm(groups, channels)]


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
    return _windows(x).max(axis=(2, 4))


def average_pool() -> eqx.nn.Lambda:
    """Return a mean over windows of 2 x 2; a row and a column left over are dropped."""
    return eqx.nn.Lambda(_average_pool)


def _average_pool(x: jax.Array) -> jax.Array:
    return _windows(x).mean(axis=(2, 4))


def _windows(x: jax.Array) -> jax.Array:
    """Return the windows of 2 x 2 of an image, `[c, h / 2, 2, w / 2, 2]`.

    A reshape: on processors XLA's own windows take twice as long to go back through.
    """
    c, h, w = x.shape
    return x[:, : h // 2 * 2, : w // 2 * 2].reshape(c, h // 2, 2, w // 2, 2)


def pool(name: str) -> Layers:
    """Return the layers of one of `stillhouse.networks.POOLINGS`: one, or none."""
    if name == "none":
        return []
    return [max_pool() if name == "max" else average_pool()]


def flatten() -> eqx.nn.Lambda:
    """Return the readout that keeps every pixel as a feature of its own."""
    return eqx.nn.Lambda(jnp.ravel)


def global_average() -> eqx.nn.Lambda:
    """Return the readout that averages each channel over all pixels."""
    return eqx.nn.Lambda(_global_average)


def _global_average(x: jax.Array) -> jax.Array:
    return x.mean(axis=(1, 2))


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
