"""What gradient descent learns: a tree of named arrays, and the optimiser's state over it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import optax

_OPTIMISER = "opt_state/"


@dataclasses.dataclass(frozen=True, eq=False)
class Learned:
    """Named arrays on their way, and what an optimiser remembers of it. Never changed in place.

    Attributes:
        step: the number of updates made.
        arrays: what is learned, by name: images, labels, step sizes, whatever a method learns.
        opt_state: the optimiser's state, a tree of arrays.
    """

    step: int
    arrays: Mapping[str, np.ndarray]
    opt_state: optax.OptState

    def updated(
        self, optimiser: optax.GradientTransformation, gradients: Mapping[str, np.ndarray]
    ) -> "Learned":
        """Return what one update makes of it.

        Args:
            optimiser: the one that it began with.
            gradients: dL/d(array) for each of the arrays.

        Raises:
            ValueError: if the gradients are of other names or shapes.
        """
        shapes = {name: np.shape(gradient) for name, gradient in gradients.items()}
        if shapes != {name: array.shape for name, array in self.arrays.items()}:
            raise ValueError(f"gradients of {shapes} do not fit what is learned")
        with _on_cpu():
            params = dict(self.arrays)
            updates, opt_state = optimiser.update(dict(gradients), self.opt_state, params)
            arrays = optax.apply_updates(params, updates)
            return Learned(self.step + 1, _to_numpy(arrays), _to_numpy(opt_state))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return all of it as named arrays, for `np.savez`; nothing is rounded."""
        leaves = jax.tree_util.tree_leaves(self.opt_state)
        return {
            "step": np.asarray(self.step, np.int64),
            **self.arrays,
            **{f"{_OPTIMISER}{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)},
        }


def begin_learning(
    optimiser: optax.GradientTransformation, arrays: Mapping[str, np.ndarray]
) -> Learned:
    """Return what is learned before the first update.

    Raises:
        ValueError: if a name is that of something else in a checkpoint.
    """
    for name in arrays:
        if name == "step" or name.startswith(_OPTIMISER):
            raise ValueError(f"nothing that is learned can be called {name!r}")
    with _on_cpu():
        return Learned(0, dict(arrays), _to_numpy(optimiser.init(dict(arrays))))


def restore_learning(
    optimiser: optax.GradientTransformation,
    arrays: Mapping[str, np.ndarray],
    names: tuple[str, ...],
) -> Learned:
    """Read what `Learned.to_arrays` gave, of the same optimiser and names.

    Raises:
        ValueError: if an array is missing, or is not of the shape and dtype that these imply.
    """
    try:
        empty = begin_learning(optimiser, {name: np.asarray(arrays[name]) for name in names})
        leaves, tree = jax.tree_util.tree_flatten(empty.opt_state)
        read = [np.asarray(arrays[f"{_OPTIMISER}{i}"]) for i in range(len(leaves))]
        step = int(arrays["step"])
    except KeyError as error:
        raise ValueError(f"not a state of these settings: the array {error} is missing") from error
    for i, (leaf, found) in enumerate(zip(leaves, read, strict=True)):
        if leaf.shape != found.shape or leaf.dtype != found.dtype:
            raise ValueError(
                f"not a state of these settings: {_OPTIMISER}{i} is {found.dtype} {found.shape}, "
                f"expected {leaf.dtype} {leaf.shape}"
            )
    return Learned(step, empty.arrays, jax.tree_util.tree_unflatten(tree, read))


def _on_cpu() -> Any:
    # The update is small; on one kind of device its bits are the same wherever tasks are computed.
    return jax.default_device(jax.devices("cpu")[0])


def _to_numpy(tree: Any) -> Any:
    return jax.tree_util.tree_map(np.asarray, tree)
