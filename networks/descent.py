"""What is compiled to train a network, and the loop of steps."""

import dataclasses
import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from stillhouse.data.arrays import slices
from stillhouse.networks import NetworkSpec, build_network
from stillhouse.networks.losses import loss_of
from stillhouse.networks.memory import check_batch, prediction_batch, program_bytes
from stillhouse.networks.network import Network, Params, State
from stillhouse.networks.objective import Objective
from stillhouse.networks.precision import full_precision
from stillhouse.networks.stable_rate import KernelProduct, tangent_kernel_product

EVALUATION_BATCH = 250
# Steps that may be under way before the loss of the first of them is looked at: an accelerator is
# not kept waiting, and a NaN is noticed soon.
_IN_FLIGHT = 4
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, eq=False)
class Programs:
    """A network and its compiled functions, the same for all seeds and sets.

    Attributes:
        network: the network.
        optimiser: makes the moments that `step` takes.
        step: of parameters, moments, state, learning rate, images and targets; to the first three
            after a step, and the loss and accuracy before it, `[2]`.
        predict: of parameters, state and images; to the outputs.
        kernel_product: of `v`, parameters, state and images, see `tangent_kernel_product`.
        image_shape: height, width and channels.
        num_classes: the number of outputs k.
    """

    network: Network
    optimiser: optax.GradientTransformation
    step: Callable[..., Any]
    predict: Callable[..., jax.Array]
    kernel_product: KernelProduct
    image_shape: tuple[int, int, int]
    num_classes: int

    def step_bytes(self, batch: int) -> int:
        """Return the bytes that a step of so many images takes at most, see `program_bytes`."""
        params, state = self.network.shapes
        moments = jax.eval_shape(self.optimiser.init, params)
        targets = _floats(batch, self.num_classes)
        images = _floats(batch, *self.image_shape)
        return program_bytes(self.step, params, moments, state, _floats(), images, targets)

    def prediction_bytes(self, batch: int) -> int:
        """Return the bytes that a prediction of so many images takes at most."""
        return program_bytes(self.predict, *self.network.shapes, _floats(batch, *self.image_shape))

    def check_batch(self, batch: int) -> None:
        """Refuse a batch that cannot be trained with on JAX's default device.

        Raises:
            ValueError: if its memory cannot hold a step.
        """
        check_batch(self.step_bytes, batch)


def _floats(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, np.float32)


@functools.lru_cache(maxsize=8)
def programs_for(
    spec: NetworkSpec, objective: Objective, image_shape: tuple[int, int, int], num_classes: int
) -> Programs:
    """Return the programs of a network, compiled once a process for each size of batch.

    Raises:
        ValueError: if there is no such network for images of this shape.
    """
    network = build_network(spec, image_shape, num_classes)
    error = loss_of(objective.loss)
    optimiser = optax.trace(objective.momentum)
    if objective.optimiser == "adam":
        optimiser = optax.scale_by_adam()

    def loss(params: Params, state: State, x: jax.Array, y: jax.Array) -> tuple[jax.Array, Any]:
        outputs, state = network.apply(params, state, x, training=True)
        right = outputs.argmax(axis=1) == y.argmax(axis=1)
        value = error(outputs, y)
        weights = jax.tree_util.tree_leaves(network.weights(params))
        with full_precision():
            penalty = 0.5 * objective.l2 * sum(jnp.vdot(w, w) for w in weights)
        return value + penalty, (state, jnp.stack([value, right.mean()]))

    # Each step is a call of its own: within a `lax.scan`, XLA computes convolutions on a processor
    # more than ten times slower, while a call costs a fraction of a millisecond.
    @jax.jit
    def step(
        params: Params, moments: Any, state: State, rate: jax.Array, x: jax.Array, y: jax.Array
    ) -> tuple[Params, Any, State, jax.Array]:
        gradient, (state, values) = jax.grad(loss, has_aux=True)(params, state, x, y)
        updates, moments = optimiser.update(gradient, moments, params)
        params = jax.tree_util.tree_map(lambda p, u: p - rate * u, params, updates)
        return params, moments, state, values

    @jax.jit
    def predict(params: Params, state: State, x: jax.Array) -> jax.Array:
        return network.apply(params, state, x, training=False)[0]

    def outputs(params: Params, state: State, x: jax.Array) -> jax.Array:
        return network.apply(params, state, x, training=True)[0]

    product = tangent_kernel_product(outputs)
    return Programs(network, optimiser, step, predict, product, image_shape, num_classes)


def descend(
    programs: Programs,
    params: Params,
    state: State,
    rates: Iterable[float],
    batches: Iterator[tuple[Any, Any]],
) -> Iterator[tuple[Params, State, jax.Array]]:
    """Take a step for each learning rate; yield parameters and state after it, and its values.

    Nothing waits for a device: the values, loss and accuracy before the step, may not be there yet.

    Args:
        programs: the compiled functions.
        params: the parameters to begin with.
        state: the state to begin with.
        rates: the learning rate of each step.
        batches: images `[n, h, w, c]` and targets `[n, k]`, of one size.
    """
    moments = programs.optimiser.init(params)
    for rate in rates:
        params, moments, state, values = programs.step(
            params, moments, state, np.float32(rate), *next(batches)
        )
        yield params, state, values


def looked_at(steps: Iterable[tuple[T, jax.Array]]) -> Iterator[tuple[T, np.ndarray]]:
    """Yield what comes with a step and its values, as numbers, a few steps late."""
    pending: deque[tuple[T, jax.Array]] = deque()
    for step in steps:
        pending.append(step)
        if len(pending) > _IN_FLIGHT:
            what, values = pending.popleft()
            yield what, np.asarray(values)
    for what, values in pending:
        yield what, np.asarray(values)


def accuracy(
    programs: Programs,
    params: Params,
    state: State,
    images: np.ndarray,
    classes: np.ndarray,
    *,
    batch: int = EVALUATION_BATCH,
    prepare: Callable[[np.ndarray], np.ndarray] | None = None,
) -> float:
    """Return the share of images whose class a network predicts.

    Args:
        programs: the compiled functions.
        params: the parameters.
        state: the state.
        images: `[n, h, w, c]`.
        classes: integers `[n]`.
        batch: as for `predicted`.
        prepare: as for `predicted`.
    """
    found = predicted(programs, params, state, images, batch=batch, prepare=prepare)
    return int(np.sum(found == classes)) / len(images)


def predicted(
    programs: Programs,
    params: Params,
    state: State,
    images: np.ndarray,
    *,
    batch: int = EVALUATION_BATCH,
    prepare: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Return the class that a network predicts for each image, integers `[n]`.

    Args:
        programs: the compiled functions.
        params: the parameters.
        state: the state.
        images: `[n, h, w, c]`.
        batch: images at a time; one size, so that it is compiled once. Fewer where the device's
            memory would not hold them.
        prepare: makes what the network sees of them, a batch at a time; None for the images.
    """
    found = outputs_of(programs, params, state, images, batch=batch, prepare=prepare)
    return found.argmax(axis=1)


def outputs_of(
    programs: Programs,
    params: Params,
    state: State,
    images: np.ndarray,
    *,
    batch: int = EVALUATION_BATCH,
    prepare: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Return what a network answers for each image, float32 `[n, k]`; arguments as `predicted`."""
    found = np.empty((len(images), programs.num_classes), np.float32)
    batch = _prediction_batch(programs, batch)
    for part in slices(len(images), batch):
        shown = np.asarray(prepare(images[part]) if prepare else images[part], np.float32)
        filled = np.zeros((batch, *shown.shape[1:]), np.float32)
        filled[: len(shown)] = shown
        found[part] = np.asarray(programs.predict(params, state, filled))[: len(shown)]
    return found


@functools.lru_cache(maxsize=8)  # It is asked for at each evaluation, and traces the network.
def _prediction_batch(programs: Programs, most: int) -> int:
    return prediction_batch(programs.prediction_bytes, most)
