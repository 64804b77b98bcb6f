"""A finite network as two pure functions: what it starts from, and what it answers."""

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from stillhouse.data.sampling import rng_for
from stillhouse.networks.layers import BATCH_AXIS
from stillhouse.networks.precision import full_precision
from stillhouse.networks.spec import NetworkSpec

Params = Any
State = Any
_W_STD = math.sqrt(2.0)
_B_STD = 0.1
_Layer = eqx.nn.Conv2d | eqx.nn.Linear
_Tree = TypeVar("_Tree")


class Network:
    """A network whose parameters and state are passed in and handed back.

    In the standard parameterisation the weights of its layers are learned as they are; in the NTK
    parameterisation they are products of the deviations that they start with and of standard normal
    numbers, and the latter are learned.

    Args:
        make: makes the layers: from an image `[h, w, c]` and a state to the outputs `[k]` and a
            state. The last one is dense, and what it sees are the network's features.
        spec: what the weights start as, and what of them is learned.

    Attributes:
        layout: name and shape of each array of the parameters, then of the state, as `pack` puts
            them into one vector.
    """

    def __init__(self, make: Callable[[], eqx.nn.Sequential], spec: NetworkSpec) -> None:
        module, self._state = eqx.nn.make_with_state(make)()
        self._params, training = eqx.partition(module, _is_parameter)
        self._static = {True: training, False: eqx.nn.inference_mode(training)}
        self._ntk = spec.parameterisation == "ntk"
        self._xavier = spec.initialisation == "xavier"
        leaves, self._tree = jax.tree_util.tree_flatten((self._params, self._state))
        self.layout = tuple(zip(self._names(), (leaf.shape for leaf in leaves), strict=True))

    @property
    def num_parameters(self) -> int:
        """The number of parameters that are learned."""
        return sum(math.prod(leaf.shape) for leaf in jax.tree_util.tree_leaves(self._params))

    @property
    def size(self) -> int:
        """The length of what `pack` returns."""
        return sum(math.prod(shape) for _, shape in self.layout)

    @property
    def shapes(self) -> tuple[Params, State]:
        """Parameters and state as shapes and dtypes alone, `jax.ShapeDtypeStruct`."""
        leaves, tree = jax.tree_util.tree_flatten((self._params, self._state))
        shapes = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
        params, state = jax.tree_util.tree_unflatten(tree, shapes)
        return params, state

    def pack(self, params: Params, state: State) -> np.ndarray:
        """Return all that the network has become as one vector, float32 `[size]`."""
        leaves = jax.tree_util.tree_leaves((params, state))
        return np.concatenate([np.ravel(leaf) for leaf in leaves], dtype=np.float32)

    def unpack(self, vector: np.ndarray | jax.Array) -> tuple[Params, State]:
        """Return the parameters and the state that `pack` was given.

        Raises:
            ValueError: if the vector is of another length.
        """
        if vector.shape != (self.size,):
            raise ValueError(
                f"the weights of this network are [{self.size}], got shape {vector.shape}"
            )
        leaves, start = [], 0
        for _, shape in self.layout:
            end = start + math.prod(shape)
            leaves.append(jnp.reshape(vector[start:end], shape))
            start = end
        params, state = jax.tree_util.tree_unflatten(self._tree, leaves)
        return params, state

    def _names(self) -> Iterator[str]:
        for path, _ in jax.tree_util.tree_flatten_with_path(self._params)[0]:
            yield jax.tree_util.keystr(path).strip(".").replace("[", ".").replace("]", "")
        for number, _ in enumerate(jax.tree_util.tree_leaves(self._state)):
            yield f"state.{number}"

    def init(self, seed: int) -> tuple[Params, State]:
        """Return random parameters, a pure function of the seed, and the state of a new network.

        NumPy draws them, so that they are the same with every version of JAX.
        """
        rng = rng_for(seed, "network")

        def draw(layer: _Layer) -> _Layer:
            scales = (1.0, 1.0) if self._ntk else self._scales_of(layer)

            def normal(array: jax.Array | None, scale: float) -> jax.Array | None:
                if array is None:
                    return None
                return jnp.asarray(rng.standard_normal(array.shape, np.float32) * np.float32(scale))

            return _with(layer, normal(layer.weight, scales[0]), normal(layer.bias, scales[1]))

        return _map_layers(draw, self._params), self._state

    def apply(
        self, params: Params, state: State, images: jax.Array, *, training: bool
    ) -> tuple[jax.Array, State]:
        """Return the outputs float32 `[n, k]` for images float32 `[n, h, w, c]`, and the state.

        Args:
            params: the parameters.
            state: the running averages of batch norm; nothing without it.
            images: the images.
            training: normalise by this batch, and count it in the averages.
        """
        return self._run(params, state, images, training, slice(None))

    def features(
        self, params: Params, state: State, images: jax.Array, *, training: bool
    ) -> tuple[jax.Array, State]:
        """Return what the last layer sees, float32 `[n, d]`, and the state; else as `apply`."""
        return self._run(params, state, images, training, slice(-1))

    def _run(
        self, params: Params, state: State, images: jax.Array, training: bool, layers: slice
    ) -> tuple[jax.Array, State]:
        module = eqx.combine(self.weights(params), self._static[training])[layers]
        each = jax.vmap(module, in_axes=(0, None), out_axes=(0, None), axis_name=BATCH_AXIS)
        with full_precision():
            return each(images, state)

    def weights(self, params: Params) -> Params:
        """Return what the layers multiply by: in the NTK parameterisation, scaled parameters."""
        return _map_layers(self._scaled, params) if self._ntk else params

    def _scaled(self, layer: _Layer) -> _Layer:
        weight, bias = self._scales_of(layer)
        scaled_bias = None if layer.bias is None else layer.bias * bias
        return _with(layer, layer.weight * weight, scaled_bias)

    def _scales_of(self, layer: _Layer) -> tuple[float, float]:
        """Return the deviations that weights and biases start with."""
        outputs, inputs, *window = layer.weight.shape
        fan_in = inputs * math.prod(window)
        if self._xavier:
            return math.sqrt(2.0 / (fan_in + outputs * math.prod(window))), 0.0
        return _W_STD / math.sqrt(fan_in), _B_STD


def _is_parameter(node: Any) -> bool:
    return isinstance(node, jax.ShapeDtypeStruct) or eqx.is_inexact_array(node)


def _map_layers(function: Callable[[_Layer], _Layer], tree: _Tree) -> _Tree:
    """Apply a function to each convolution and dense layer; what norms learn stays as it is."""

    def is_layer(node: Any) -> bool:
        return isinstance(node, _Layer)

    return jax.tree_util.tree_map(
        lambda node: function(node) if is_layer(node) else node, tree, is_leaf=is_layer
    )


def _with(layer: _Layer, weight: jax.Array | None, bias: jax.Array | None) -> _Layer:
    return eqx.tree_at(
        lambda node: (node.weight, node.bias), layer, (weight, bias), is_leaf=lambda x: x is None
    )
