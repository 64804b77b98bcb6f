"""Kernel ridge regression on the features of a finite network, and its derivatives by the set.

    p = K_ts (K_ss + lambda I)^-1 y_s,   K(x, x') = <phi(x), phi(x')>

Features phi, what the last layer sees, are float32. Products and the solve are float64: the ridge
is a millionth of the mean diagonal, which products in float32 do not resolve.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from stillhouse.data.arrays import slices
from stillhouse.methods.kernel_regression.one_thread import one_thread
from stillhouse.methods.kernel_regression.ridge import krr_step
from stillhouse.networks import NetworkSpec, build_network
from stillhouse.networks.network import Network, Params, State

# Images at a time: on a processor so many that their layers are read while still in its caches.
_CHUNK, _WHOLE = 16, 1000


@dataclasses.dataclass(frozen=True, eq=False)
class FeaturePrograms:
    """A network, and what is compiled of its features.

    Attributes:
        network: the network.
        size: how many features an image has, d.
        features: of parameters, state and images `[n, h, w, c]`; to `[n, d]`.
        pull_back: of the same and the cotangent of the features; to that of the images.
    """

    network: Network
    size: int
    features: Callable[[Params, State, Any], jax.Array]
    pull_back: Callable[[Params, State, Any, Any], jax.Array]

    def of(self, params: Params, state: State, images: np.ndarray) -> np.ndarray:
        """Return the features of images, float32 `[n, d]`; memory is theirs and a chunk's."""
        found = np.empty((len(images), self.size), np.float32)
        for part, x in _chunks(images):
            found[part] = self.features(params, state, x)[: part.stop - part.start]
        return found

    def back(self, params: Params, state: State, images: np.ndarray, g: np.ndarray) -> np.ndarray:
        """Return the gradient of sum(g * features) by the images, float32 `[n, h, w, c]`."""
        found = np.empty_like(images)
        for (part, x), (_, some) in zip(_chunks(images), _chunks(g), strict=True):
            found[part] = self.pull_back(params, state, x, some)[: part.stop - part.start]
        return found


@functools.lru_cache(maxsize=8)
def feature_programs(
    spec: NetworkSpec, image_shape: tuple[int, int, int], num_classes: int
) -> FeaturePrograms:
    """Return the programs of a network, compiled once a process for each size of chunk.

    Raises:
        ValueError: if there is no such network for images of this shape.
    """
    network = build_network(spec, image_shape, num_classes)

    def features(params: Params, state: State, x: jax.Array) -> jax.Array:
        return network.features(params, state, x, training=False)[0]

    def pull_back(params: Params, state: State, x: jax.Array, g: jax.Array) -> jax.Array:
        _, back = jax.vjp(lambda x: features(params, state, x), x)
        (by_images,) = back(g)
        return by_images

    one = jax.ShapeDtypeStruct((1, *image_shape), np.float32)
    size = jax.eval_shape(features, *network.shapes, one).shape[1]
    return FeaturePrograms(network, size, jax.jit(features), jax.jit(pull_back))


@dataclasses.dataclass(frozen=True, eq=False)
class Regressed:
    """What came of a regression.

    Attributes:
        loss: 1/2 of the mean squared error over all entries of the targets' labels.
        accuracy: the share of targets whose predicted and true labels have the same argmax.
        images: dL/d(images of the set), float32 of their shape.
        labels: dL/d(labels of the set), float32 `[s, k]`.
    """

    loss: float
    accuracy: float
    images: np.ndarray
    labels: np.ndarray


def regress_on_features(
    programs: FeaturePrograms,
    params: Params,
    state: State,
    images: np.ndarray,
    labels: np.ndarray,
    x_t: np.ndarray,
    y_t: np.ndarray,
    *,
    regularisation: float,
    mirror: bool = False,
) -> Regressed:
    """Return the loss of a set on targets by the features of a network, and its derivatives.

    Args:
        programs: of the network.
        params: its parameters, of which the loss is no function here.
        state: its state.
        images: those of the set, float32 `[s, h, w, c]`.
        labels: their labels, float32 `[s, k]`.
        x_t: the targets, float32 `[t, h, w, c]`.
        y_t: their labels, float32 `[t, k]`.
        regularisation: the ridge as a share of the mean diagonal of K_ss.
        mirror: let the set have the mirror image of each of its images too, with its label.

    Raises:
        FloatingPointError: if the loss or a derivative is not finite.

    References:
        Zhou, Nezhadarya, Ba. Dataset Distillation using Neural Feature Regression. NeurIPS 2022,
        https://arxiv.org/abs/2206.00719
    """
    s, x, y = len(images), images, labels
    if mirror:
        x, y = np.concatenate([x, x[:, :, ::-1]]), np.concatenate([y, y])
    phi_s, phi_t = (programs.of(params, state, a).astype(np.float64) for a in (x, x_t))
    with one_thread(), np.errstate(invalid="ignore", over="ignore"):
        K_ss, K_ts = phi_s @ phi_s.T, phi_t @ phi_s.T
        ridge = krr_step(K_ss, K_ts, y, y_t, regularisation=regularisation)
        g = (ridge.g_ss + ridge.g_ss.T) @ phi_s + ridge.g_ts.T @ phi_t
    by_images = programs.back(params, state, x, g.astype(np.float32))
    by_labels = ridge.g_labels.astype(np.float32)
    if mirror:
        by_images = by_images[:s] + by_images[s:, :, ::-1]
        by_labels = by_labels[:s] + by_labels[s:]
    if not all(np.isfinite(found).all() for found in (ridge.loss, by_images, by_labels)):
        raise FloatingPointError(
            "the regression on a network's features is not finite; try a larger `regularisation` "
            f"(now {regularisation:g}), or lower learning rates"
        )
    return Regressed(ridge.loss, ridge.accuracy, by_images, by_labels)


def _chunks(arrays: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield chunks of one size, so that they are compiled once; the last one is filled up."""
    size = min(_CHUNK if jax.default_backend() == "cpu" else _WHOLE, len(arrays))
    for part in slices(len(arrays), size):
        some = arrays[part]
        if len(some) < size:
            some = np.concatenate([some, np.zeros((size - len(some), *some.shape[1:]), np.float32)])
        yield part, some
