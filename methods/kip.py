"""Kernel Inducing Points: support images learned by gradient descent on the KRR loss.

A step is a pure function of (config, state, target batch): it asks a `KernelComputer` for
kernels, and gives the next state. Given the same arguments it gives the same bits, so a run that
is stopped and resumed ends as one that was not.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import optax

from stillhouse.data.sampling import rng_for
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.computer import KernelComputer
from stillhouse.methods.ridge import krr_step


class NonFiniteLossError(FloatingPointError):
    """A step met NaN or infinity; the state it started from is as it was.

    Attributes:
        step: the number of the step that failed, counted from 1; the state is that after
            step - 1 steps.
    """

    def __init__(self, step: int, what: str, config: "KipConfig") -> None:
        super().__init__(
            f"step {step}: {what} is not finite; try a lower `learning_rate` (now "
            f"{config.learning_rate:g}), a larger `regularisation` (now "
            f"{config.regularisation:g}), or support images that differ more"
        )
        self.step = step


@dataclasses.dataclass(frozen=True)
class KipConfig:
    """The parameters of KIP. The defaults are the published ones.

    Attributes:
        specs: the kernels; with several, each step samples one of them.
        learning_rate: Adam's, for images and labels alike.
        decay_steps: after how many steps it has fallen to zero, along a cosine; None where it stays
            as it is.
        learn_labels: learn the support labels too, or keep them as they are.
        regularisation: the ridge as a share of the mean diagonal of K_ss.
        seed: of the sampling of kernels.

    Raises:
        ValueError: if a value is out of its range.
    """

    specs: tuple[KernelSpec, ...]
    learning_rate: float = 0.04
    decay_steps: int | None = None
    learn_labels: bool = True
    regularisation: float = 1e-6
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "specs", tuple(self.specs))
        if not self.specs:
            raise ValueError("`specs` must hold at least one kernel, got none")
        if not (np.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"`learning_rate` must be positive, got {self.learning_rate}")
        if self.decay_steps is not None and self.decay_steps < 1:
            raise ValueError(f"`decay_steps` must be 1 or more, or None, got {self.decay_steps}")
        if not (np.isfinite(self.regularisation) and self.regularisation >= 0):
            raise ValueError(
                f"`regularisation` must be zero or positive, got {self.regularisation}"
            )
        if type(self.seed) is not int or self.seed < 0:
            raise ValueError(f"`seed` must be a whole number, 0 or more, got {self.seed!r}")

    def spec_of_step(self, step: int) -> KernelSpec:
        """Return the kernel of the step after `step` steps: a function of (seed, step) alone."""
        if len(self.specs) == 1:
            return self.specs[0]
        return self.specs[rng_for(self.seed, "kip kernel", step).integers(len(self.specs))]

    def optimiser(self) -> optax.GradientTransformation:
        """Return what makes an update of a gradient: Adam, at the step's learning rate."""
        if self.decay_steps is None:
            return optax.adam(self.learning_rate)
        return optax.adam(optax.cosine_decay_schedule(self.learning_rate, self.decay_steps))


@dataclasses.dataclass(frozen=True)
class KipState:
    """What a step starts from, and ends with.

    Attributes:
        step: the number of steps taken.
        images: float32 `[s, h, w, c]`, in the space in which the kernel sees them.
        labels: float32 `[s, k]`.
        opt_state: Adam's moments, a tree of arrays.
    """

    step: int
    images: np.ndarray
    labels: np.ndarray
    opt_state: optax.OptState


@dataclasses.dataclass(frozen=True)
class StepMetrics:
    """What a step saw, measured on its target batch before its update.

    Attributes:
        loss: the KRR loss.
        accuracy: the share of targets whose predicted and true labels have the same argmax.
        spec: the kernel of the step.
    """

    loss: float
    accuracy: float
    spec: KernelSpec


def initial_state(config: KipConfig, images: np.ndarray, labels: np.ndarray) -> KipState:
    """Return the state before the first step.

    Args:
        config: the parameters of the run.
        images: the support images to start from, `[s, h, w, c]`.
        labels: their labels, usually centred one-hot, `[s, k]`.

    Raises:
        ValueError: if shapes do not agree, a value is not finite, or the images are too small for
            one of the kernels.
    """
    images, labels = np.array(images, np.float32), np.array(labels, np.float32)
    if images.ndim != 4 or not images.size:
        raise ValueError(f"`images` must be [s, h, w, c], got shape {images.shape}")
    if labels.ndim != 2 or len(labels) != len(images):
        raise ValueError(
            f"`labels` must be [{len(images)}, k], a row for each image, got shape {labels.shape}"
        )
    for name, array in (("images", images), ("labels", labels)):
        if not np.isfinite(array).all():
            raise ValueError(f"`{name}` must be finite, got NaN or infinity")
    for spec in config.specs:
        spec.architecture.check_image(images.shape[1], images.shape[2])
    with _on_cpu():
        opt_state = config.optimiser().init(_parameters(config, images, labels))
        return KipState(0, images, labels, _to_numpy(opt_state))


def kip_step(
    config: KipConfig,
    state: KipState,
    computer: KernelComputer,
    x_t: np.ndarray,
    y_t: np.ndarray,
) -> tuple[KipState, StepMetrics]:
    """Take one step: kernels, the loss and its cotangents, the gradient, Adam.

    Args:
        config: the parameters of the run.
        state: where the step starts; it is not changed.
        computer: who computes the kernels.
        x_t: the target batch, float32 `[t, h, w, c]`.
        y_t: its labels, centred one-hot, float32 `[t, k]`.

    Raises:
        ValueError: if the target batch does not fit the support set.
        NonFiniteLossError: if the loss, its gradient or the update is NaN or infinite.

    References:
        Nguyen, Chen, Lee. Dataset Meta-Learning from Kernel Ridge-Regression. ICLR 2021,
        https://arxiv.org/abs/2011.00050
        Nguyen, Novak, Xiao, Lee. Dataset Distillation with Infinitely Wide Convolutional
        Networks. NeurIPS 2021, https://arxiv.org/abs/2107.13034 (equation 1)
    """
    if x_t.shape[1:] != state.images.shape[1:]:
        raise ValueError(
            f"`x_t` must be [t, {', '.join(map(str, state.images.shape[1:]))}] as the support "
            f"images are, got shape {x_t.shape}"
        )
    spec = config.spec_of_step(state.step)
    K_ss, K_ts = computer.forward(spec, state.images, x_t)
    ridge = krr_step(K_ss, K_ts, state.labels, y_t, regularisation=config.regularisation)
    g_ss, g_ts = ridge.g_ss.astype(np.float32), ridge.g_ts.astype(np.float32)
    _check_finite(config, state, "loss", ridge.loss)
    for matrix, cotangent in (("K_ss", g_ss), ("K_ts", g_ts)):
        _check_finite(config, state, f"gradient of {matrix}", cotangent)
    g_images = computer.backward(spec, state.images, x_t, g_ss, g_ts)
    with _on_cpu():
        parameters = _parameters(config, state.images, state.labels)
        gradient = _parameters(config, g_images, ridge.g_labels.astype(np.float32))
        updates, opt_state = config.optimiser().update(gradient, state.opt_state)
        parameters = _to_numpy(optax.apply_updates(parameters, updates))
        opt_state = _to_numpy(opt_state)
    for name, array in parameters.items():
        _check_finite(config, state, f"update of the {name}", array)
    images, labels = parameters["images"], parameters.get("labels", state.labels)
    metrics = StepMetrics(ridge.loss, ridge.accuracy, spec)
    return KipState(state.step + 1, images, labels, opt_state), metrics


def state_to_arrays(state: KipState) -> dict[str, np.ndarray]:
    """Return the state as named arrays, for `np.savez`; nothing is rounded."""
    leaves = jax.tree_util.tree_leaves(state.opt_state)
    return {
        "step": np.asarray(state.step, np.int64),
        "images": state.images,
        "labels": state.labels,
        **{f"opt_state/{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)},
    }


def state_from_arrays(config: KipConfig, arrays: Mapping[str, np.ndarray]) -> KipState:
    """Read what `state_to_arrays` gave, of a run with the same `config`.

    Raises:
        ValueError: if an array is missing, or is not of the shape and dtype that `config` implies.
    """
    try:
        empty = initial_state(config, arrays["images"], arrays["labels"])
        leaves, tree = jax.tree_util.tree_flatten(empty.opt_state)
        read = [np.asarray(arrays[f"opt_state/{i}"]) for i in range(len(leaves))]
        step = int(arrays["step"])
    except KeyError as error:
        raise ValueError(f"not a KIP state of this config: the array {error} is missing") from error
    for i, (leaf, found) in enumerate(zip(leaves, read, strict=True)):
        if leaf.shape != found.shape or leaf.dtype != found.dtype:
            raise ValueError(
                f"not a KIP state of this config: opt_state/{i} is {found.dtype} {found.shape}, "
                f"expected {leaf.dtype} {leaf.shape}"
            )
    opt_state = jax.tree_util.tree_unflatten(tree, read)
    return KipState(step, empty.images, empty.labels, opt_state)


def _parameters(config: KipConfig, images: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    return {"images": images, "labels": labels} if config.learn_labels else {"images": images}


def _check_finite(config: KipConfig, state: KipState, name: str, value: float | np.ndarray) -> None:
    if not np.isfinite(value).all():
        raise NonFiniteLossError(state.step + 1, f"the {name}", config)


def _on_cpu() -> Any:
    # The update is small; on one kind of device its bits are the same wherever kernels are made.
    return jax.default_device(jax.devices("cpu")[0])


def _to_numpy(tree: Any) -> Any:
    return jax.tree_util.tree_map(np.asarray, tree)
