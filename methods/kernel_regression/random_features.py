"""Random features of an architecture: what random networks of finite width make of images.

With phi_i the features of network i, the mean over N networks

    K(x, x') = 1/N sum_i <phi_i(x), phi_i(x')> + b_std^2

is an estimate of the NNGP kernel whose error falls as 1 / sqrt(N width), while the cost goes with
N width^2: on a processor many narrow networks are worth more than few wide ones. Layers may differ
in width: behind pools there are fewer places to average over, and channels cost less.
"""

import contextlib
import functools
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import numpy as np

from stillhouse.data.arrays import slices
from stillhouse.data.sampling import rng_for
from stillhouse.kernels.architecture import (
    Architecture,
    AvgPool,
    Conv,
    Dense,
    GlobalAvgPool,
    Relu,
)
from stillhouse.kernels.threads import Workers
from stillhouse.methods.kernel_regression.feature_layers import Width, feature_layers
from stillhouse.methods.kernel_regression.pooled_conv import begins_pooled, pooled_conv
from stillhouse.networks.precision import full_precision

Weights = tuple[tuple[np.ndarray, np.ndarray], ...]
_NHWC = ("NHWC", "HWIO", "NHWC")
# What the widest layer of a chunk takes on a processor: it is read while it is still in the cache.
_CACHE = 2 * 2**20
_WHOLE = 1000


class RandomFeatures:
    """The random networks of an architecture, alike in width, for images of one shape.

    Args:
        architecture: the layers; ReLU and average pools, as the exact kernels have them.
        width: of all layers, or of each: channels of a convolution, units of a dense layer.
        image_shape: height, width and channels.
        on_cpu: compute on the processor, whatever JAX's default device is.
        threads: of the processor, which compute chunks side by side, to the same bits.

    Attributes:
        size: how many features an image has, d.
        chunk: how many images are computed at a time.

    Raises:
        ValueError: if the images are too small, or widths are not one for each layer.

    References:
        Loo, Hasani, Amini, Rus. Efficient Dataset Distillation using Random Feature Approximation.
        NeurIPS 2022, https://arxiv.org/abs/2210.12067
    """

    def __init__(
        self,
        architecture: Architecture,
        width: Width,
        image_shape: tuple[int, int, int],
        on_cpu: bool = False,
        threads: int = 1,
    ) -> None:
        architecture.check_image(*image_shape[:2])
        layers = feature_layers(architecture, width, image_shape)
        self._weights, self.size = layers.weights, layers.size
        self.chunk = max(_CACHE // (4 * layers.largest), 1)
        self._on_cpu, self._threads = on_cpu, threads
        by_product = begins_pooled(architecture, image_shape[2])
        if not on_cpu and jax.default_backend() != "cpu":
            self.chunk, self._threads, by_product = _WHOLE, 1, False
        forward = functools.partial(_features, architecture, by_product)

        def backward(weights: Weights, x: jax.Array, g: jax.Array) -> jax.Array:
            _, pull_back = jax.vjp(functools.partial(forward, weights), x)
            (gradient,) = pull_back(g)
            return gradient

        self._forward = jax.jit(forward)
        self._backward = jax.jit(backward)

    def draw(self, seed: int) -> Weights:
        """Return the weights and biases of each layer, a pure function of the seed.

        NumPy draws them, so that they are the same with every version of JAX.
        """
        rng = rng_for(seed, "random features")

        def normal(shape: tuple[int, ...], deviation: float) -> np.ndarray:
            return rng.standard_normal(shape, np.float32) * np.float32(deviation)

        return tuple(
            (normal(shape, W_std / math.sqrt(math.prod(shape[:-1]))), normal(shape[-1:], b_std))
            for shape, W_std, b_std in self._weights
        )

    def features(self, seed: int, images: np.ndarray) -> np.ndarray:
        """Return the features of images `[n, h, w, c]` by the network of a seed, float32 `[n, d]`.

        Memory is that of the features, and of a chunk for each thread.
        """
        found = np.empty((len(images), self.size), np.float32)
        self._compute(found, functools.partial(self._forward, self.draw(seed)), images)
        return found

    def pull_back(self, seed: int, images: np.ndarray, g: np.ndarray) -> np.ndarray:
        """Return the gradient of sum(g * features) by the images, float32 `[n, h, w, c]`.

        Args:
            seed: of the network.
            images: float32 `[n, h, w, c]`.
            g: the cotangent of the features, float32 `[n, d]`.
        """
        found = np.empty_like(images)
        self._compute(found, functools.partial(self._backward, self.draw(seed)), images, g)
        return found

    def _compute(
        self, found: np.ndarray, function: Callable[..., jax.Array], *arrays: np.ndarray
    ) -> None:
        """Fill an array with what a function makes of chunks of others, of one size each."""
        size = min(self.chunk, len(found))
        parts = list(slices(len(found), size))

        def fill(part: slice) -> None:
            with self._device():  # JAX knows it by thread.
                made = function(*(_filled_up(array[part], size) for array in arrays))
                found[part] = np.asarray(made)[: part.stop - part.start]

        with Workers(min(self._threads, len(parts))) as workers:
            for _ in workers.in_order(fill, parts):
                pass

    def _device(self) -> AbstractContextManager[Any]:
        if self._on_cpu:
            return jax.default_device(jax.devices("cpu")[0])
        return contextlib.nullcontext()


@functools.lru_cache(maxsize=8)
def random_features(
    architecture: Architecture,
    width: Width,
    image_shape: tuple[int, int, int],
    on_cpu: bool,
    threads: int,
) -> RandomFeatures:
    """Return the random networks of an architecture, compiled once a process."""
    return RandomFeatures(architecture, width, image_shape, on_cpu, threads)


def _filled_up(images: np.ndarray, size: int) -> np.ndarray:
    """Return as many as a whole chunk, with zeros behind: one size is compiled once."""
    if len(images) == size:
        return images
    filled = np.zeros((size, *images.shape[1:]), np.float32)
    filled[: len(images)] = images
    return filled


def _features(
    architecture: Architecture, by_product: bool, weights: Weights, x: jax.Array
) -> jax.Array:
    """Return the features of images `[n, h, w, c]`, float32 `[n, d]`.

    What the last layer makes of them is a kernel: <phi, phi'> + b_std^2. The first layer and its
    pool may be computed by a product where `begins_pooled`.
    """
    drawn = iter(weights)
    *layers, last = architecture.layers
    with full_precision():
        if by_product:
            _, _, pool, *layers = layers
            assert isinstance(pool, AvgPool), "the network begins with a pooled convolution"
            x = pooled_conv(x, *next(drawn), pool.window)
        for layer in layers:
            if isinstance(layer, Conv):
                W, b = next(drawn)
                x = _conv(x, W) + b
            elif isinstance(layer, Dense):
                W, b = next(drawn)
                x = x @ W + b
            elif isinstance(layer, Relu):
                x = jax.nn.relu(x)
            elif isinstance(layer, AvgPool):
                x = _pool(x, layer.window)
            elif isinstance(layer, GlobalAvgPool):
                x = x.mean(axis=(1, 2))
            else:
                x = x.reshape(len(x), -1)
        assert isinstance(last, Dense), "every architecture ends with one"
        return x * np.float32(last.W_std / math.sqrt(x.shape[1]))


@jax.custom_vjp
def _conv(x: jax.Array, W: jax.Array) -> jax.Array:
    return jax.lax.conv_general_dilated(x, W, (1, 1), "SAME", dimension_numbers=_NHWC)


def _conv_forward(x: jax.Array, W: jax.Array) -> tuple[jax.Array, jax.Array]:
    return _conv(x, W), W


def _conv_backward(W: jax.Array, g: jax.Array) -> tuple[jax.Array, None]:
    # Written as the plain convolution that it is: what JAX makes of it, with exchanged dimensions,
    # takes a slower way on a processor.
    turned = W[::-1, ::-1].transpose(0, 1, 3, 2)
    # SAME puts the odd column of an even window behind: on the way back it comes first.
    around = [(k // 2, (k - 1) // 2) for k in W.shape[:2]]
    return jax.lax.conv_general_dilated(g, turned, (1, 1), around, dimension_numbers=_NHWC), None


_conv.defvjp(_conv_forward, _conv_backward)


def _pool(x: jax.Array, window: tuple[int, int]) -> jax.Array:
    """Return averages over windows, as a sum of slices: on a processor a fraction of the cost."""
    rows, columns = window
    h, w = x.shape[1] // rows, x.shape[2] // columns
    x = x[:, : h * rows, : w * columns]
    slices_of = [x[:, i::rows, j::columns] for i in range(rows) for j in range(columns)]
    total = slices_of[0]
    for part in slices_of[1:]:
        total = total + part
    return total * np.float32(1 / (rows * columns))
