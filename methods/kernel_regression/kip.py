"""Kernel Inducing Points: support images learned by gradient descent on the KRR loss.

A step is a pure function of (config, state, target batch): it asks a `KernelComputer` for
kernels, and gives the next state. Given the same arguments it gives the same bits, so a run that
is stopped and resumed ends as one that was not.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optax

from stillhouse.data.batches import TargetBatches
from stillhouse.data.sampling import rng_for
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.algorithm import NonFiniteStepError, Support
from stillhouse.methods.coordinates import COORDINATES, in_coordinates
from stillhouse.methods.kernel_regression.computer import KernelComputer
from stillhouse.methods.kernel_regression.evaluation import KrrScoring
from stillhouse.methods.kernel_regression.ridge import krr_step
from stillhouse.methods.learned import Learned, begin_learning, restore_learning


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
        coordinates: in which Adam sees the images, see `stillhouse.methods.coordinates`.

    Raises:
        ValueError: if a value is out of its range.
    """

    specs: tuple[KernelSpec, ...]
    learning_rate: float = 0.04
    decay_steps: int | None = None
    learn_labels: bool = True
    regularisation: float = 1e-6
    seed: int = 0
    coordinates: str = "pixel"

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
        if self.coordinates not in COORDINATES:
            known = ", ".join(COORDINATES)
            raise ValueError(f"`coordinates` must be one of {known}, got {self.coordinates!r}")
        if type(self.seed) is not int or self.seed < 0:
            raise ValueError(f"`seed` must be a whole number, 0 or more, got {self.seed!r}")

    def spec_of_step(self, step: int) -> KernelSpec:
        """Return the kernel of the step after `step` steps: a function of (seed, step) alone."""
        if len(self.specs) == 1:
            return self.specs[0]
        return self.specs[rng_for(self.seed, "kip kernel", step).integers(len(self.specs))]

    def optimiser(self) -> optax.GradientTransformation:
        """Return what makes an update of a gradient: Adam, at the step's learning rate."""
        rate: optax.ScalarOrSchedule = self.learning_rate
        if self.decay_steps is not None:
            rate = optax.cosine_decay_schedule(self.learning_rate, self.decay_steps)
        return in_coordinates(optax.adam(rate), self.coordinates)


@dataclasses.dataclass(frozen=True)
class KipState:
    """What a step starts from, and ends with.

    Attributes:
        learned: the images, float32 `[s, h, w, c]` in the space in which the kernel sees them, and
            the labels, float32 `[s, k]`, where these are learned too.
        fixed: the labels, where they are not.
    """

    learned: Learned
    fixed: Mapping[str, np.ndarray]

    @property
    def step(self) -> int:
        """The number of steps taken."""
        return self.learned.step

    @property
    def images(self) -> np.ndarray:
        """The images as they are now."""
        return self.learned.arrays["images"]

    @property
    def labels(self) -> np.ndarray:
        """The labels as they are now."""
        return {**self.learned.arrays, **self.fixed}["labels"]


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
    both = {"images": images, "labels": labels}
    learned = {name: both.pop(name) for name in _learned(config)}
    return KipState(begin_learning(config.optimiser(), learned), both)


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
        NonFiniteStepError: if the loss, its gradient or the update is NaN or infinite.

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
    gradients = {"images": g_images, "labels": ridge.g_labels.astype(np.float32)}
    learned = state.learned.updated(
        config.optimiser(), {name: gradients[name] for name in _learned(config)}
    )
    for name, array in learned.arrays.items():
        _check_finite(config, state, f"update of the {name}", array)
    metrics = StepMetrics(ridge.loss, ridge.accuracy, spec)
    return KipState(learned, state.fixed), metrics


def state_to_arrays(state: KipState) -> dict[str, np.ndarray]:
    """Return the state as named arrays, for `np.savez`; nothing is rounded."""
    return {**state.learned.to_arrays(), **state.fixed}


def state_from_arrays(config: KipConfig, arrays: Mapping[str, np.ndarray]) -> KipState:
    """Read what `state_to_arrays` gave, of a run with the same `config`.

    Raises:
        ValueError: if an array is missing, or is not of the shape and dtype that `config` implies.
    """
    names = _learned(config)
    learned = restore_learning(config.optimiser(), arrays, names)
    try:
        fixed = {n: np.asarray(arrays[n]) for n in ("images", "labels") if n not in names}
    except KeyError as error:
        raise ValueError(f"not a state of these settings: the array {error} is missing") from error
    state = KipState(learned, fixed)
    initial_state(config, state.images, state.labels)  # Raises if they are none.
    return state


@dataclasses.dataclass(frozen=True)
class Kip:
    """KIP as an `Algorithm`: a step learns from one target batch.

    Attributes:
        config: its parameters.
        batches: the target batches.
        computer: who computes kernels.
        start: gives the images and labels to start from; called for a new run only.
        scoring: scores the support set.
    """

    config: KipConfig
    batches: TargetBatches
    computer: KernelComputer
    start: Callable[[], Support]
    scoring: KrrScoring

    def begin(self) -> KipState:
        """Return the state before the first step."""
        return initial_state(self.config, *self.start())

    def advance(self, state: KipState, step: int) -> tuple[KipState, dict[str, float]]:
        """Return the state after step `step`, and what it measured."""
        x_t, y_t = self.batches.batch(state.step)
        state, metrics = kip_step(self.config, state, self.computer, x_t, y_t)
        return state, {"loss": metrics.loss, "accuracy": metrics.accuracy}

    def support(self, state: KipState) -> Support:
        """Return the images and labels as they are now."""
        return state.images, state.labels

    def score(self, state: KipState) -> dict[str, float]:
        """Return the scores of KRR on all test images."""
        return self.scoring.test(*self.support(state))

    def final_scores(self, state: KipState, scores: Mapping[str, float]) -> dict[str, Any]:
        """Return the scores on training images, and those by the other kernels."""
        return self.scoring.final(*self.support(state), state.step, scores)

    def save(self, state: KipState) -> dict[str, np.ndarray]:
        """Return the state as arrays."""
        return state_to_arrays(state)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> KipState:
        """Return the state that `save` gave."""
        return state_from_arrays(self.config, arrays)


def _learned(config: KipConfig) -> tuple[str, ...]:
    return ("images", "labels") if config.learn_labels else ("images",)


def _check_finite(config: KipConfig, state: KipState, name: str, value: float | np.ndarray) -> None:
    if not np.isfinite(value).all():
        raise NonFiniteStepError(
            state.step + 1,
            f"the {name}",
            f"a lower `learning_rate` (now {config.learning_rate:g}), a larger `regularisation` "
            f"(now {config.regularisation:g}), or support images that differ more",
        )
