"""A finite network as two pure functions: what it starts from, and what it answers."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from stillhouse.data.sampling import rng_for
from stillhouse.networks.layers import BATCH_AXIS

PARAMETERISATIONS = ("standard", "ntk")
Params = Any
State = Any
_W_STD = math.sqrt(2.0)
_B_STD = 0.1
_Layer = eqx.nn.Conv2d | eqx.nn.Linear
_Tree = TypeVar("_Tree")


class Network:
    """A network whose parameters and state are passed in and handed back.

    Weights start normal with variance `W_std^2 / fan-in`, biases with variance `b_std^2`: as in
    the kernels of `stillhouse.kernels`, with whose defaults they share theirs. In the standard
    parameterisation these numbers are learned as they are; in the NTK parameterisation they are
    products of these constants and standard normal numbers, and the latter are learned.

    Args:
        make: makes the layers: an Equinox module from an image `[c, h, w]` and a state to the
            outputs `[k]` and a state.
        parameterisation: one of `PARAMETERISATIONS`.
        W_std: standard deviation of the weights, before division by the root of the fan-in.
        b_std: standard deviation of the biases.

    References:
        Jacot, Gabriel, Hongler. Neural Tangent Kernel. NeurIPS 2018,
        https://arxiv.org/abs/1806.07572 (the parameterisation)
    """

    def __init__(
        self,
        make: Callable[[], eqx.Module],
        *,
        parameterisation: str = "standard",
        W_std: float = _W_STD,
        b_std: float = _B_STD,
    ) -> None:
        module, self._state = eqx.nn.make_with_state(make)()
        self._params, training = eqx.partition(module, _is_parameter)
        self._static = {True: training, False: eqx.nn.inference_mode(training)}
        self._ntk = parameterisation == "ntk"
        self._stds = W_std, b_std

    @property
    def num_parameters(self) -> int:
        """The number of parameters that are learned."""
        return sum(math.prod(leaf.shape) for leaf in jax.tree_util.tree_leaves(self._params))

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
        module = eqx.combine(self.weights(params), self._static[training])
        each = jax.vmap(module, in_axes=(0, None), out_axes=(0, None), axis_name=BATCH_AXIS)
        return each(jnp.transpose(images, (0, 3, 1, 2)), state)

    def weights(self, params: Params) -> Params:
        """Return what the layers multiply by: in the NTK parameterisation, scaled parameters."""
        return _map_layers(self._scaled, params) if self._ntk else params

    def _scaled(self, layer: _Layer) -> _Layer:
        weight, bias = self._scales_of(layer)
        scaled_bias = None if layer.bias is None else layer.bias * bias
        return _with(layer, layer.weight * weight, scaled_bias)

    def _scales_of(self, layer: _Layer) -> tuple[float, float]:
        fan_in = math.prod(layer.weight.shape[1:])
        return self._stds[0] / math.sqrt(fan_in), self._stds[1]


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
