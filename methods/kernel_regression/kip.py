"""Kernel Inducing Points: support images learned by gradient descent on the KRR loss.

A step is a pure function of (config, state, target batch): it asks a `KernelComputer` for
kernels, and gives the next state. Given the same arguments it gives the same bits, so a run that
is stopped and resumed ends as one that was not.
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from stillhouse.data.arguments import check_arguments, of_hint
from stillhouse.data.batches import TargetBatches
from stillhouse.data.pixel_images import Images
from stillhouse.data.sampling import rng_for
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.algorithm import Support
from stillhouse.methods.kernel_regression.computer import KernelComputer
from stillhouse.methods.kernel_regression.evaluation import KrrScoring
from stillhouse.methods.kernel_regression.learned_support import LearnedSupport
from stillhouse.methods.kernel_regression.support_set import (
    RegressionConfig,
    SupportState,
    begin_support,
    descend,
    regress,
    restore_support,
)


@dataclasses.dataclass(frozen=True)
class KipConfig(RegressionConfig):
    """The parameters of KIP. The defaults are the published ones.

    Attributes:
        specs: the kernels; with several, each step samples one of them.
        seed: of the sampling of kernels.

    Raises:
        ValueError: if a value is out of its range.
    """

    specs: tuple[KernelSpec, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        specs = self.specs if isinstance(self.specs, tuple | list) else (self.specs,)
        object.__setattr__(self, "specs", tuple(specs))
        if not specs:
            raise ValueError("`specs` must hold at least one kernel, got none")
        for spec in specs:
            of_hint("`specs`", spec, KernelSpec)
        super().__post_init__()
        if self.seed < 0:
            raise ValueError(f"`seed` must be a whole number, 0 or more, got {self.seed!r}")

    def spec_of_step(self, step: int) -> KernelSpec:
        """Return the kernel of the step after `step` steps: a function of (seed, step) alone."""
        if len(self.specs) == 1:
            return self.specs[0]
        return self.specs[rng_for(self.seed, "kip kernel", step).integers(len(self.specs))]


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


@check_arguments
def initial_state(
    config: KipConfig,
    images: np.ndarray,
    labels: np.ndarray,
    softmax_scale: float | None = None,
) -> SupportState:
    """Return the state before the first step.

    Args:
        config: the parameters of the run.
        images: the support images to start from, `[s, h, w, c]`.
        labels: their labels, usually centred one-hot, `[s, k]`.
        softmax_scale: as for `begin_support`.

    Raises:
        ValueError: as `begin_support`, and if the images are too small for one of the kernels.
    """
    state = begin_support(config, images, labels, softmax_scale)
    for spec in config.specs:
        spec.architecture.check_image(*state.images.shape[1:3])
    return state


@check_arguments
def kip_step(
    config: KipConfig,
    state: SupportState,
    computer: KernelComputer,
    x_t: Images,
    y_t: np.ndarray,
) -> tuple[SupportState, StepMetrics]:
    """Take one step: kernels, the loss and its cotangents, the gradient, Adam.

    Args:
        config: the parameters of the run.
        state: where the step starts; it is not changed.
        computer: who computes the kernels.
        x_t: the target batch, float32 `[t, h, w, c]`, or the pixels of one.
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
    ridge = regress(config, state, K_ss, K_ts, y_t)
    g_ss, g_ts = ridge.g_ss.astype(np.float32), ridge.g_ts.astype(np.float32)
    g_images = computer.backward(spec, state.images, x_t, g_ss, g_ts)
    metrics = StepMetrics(ridge.loss, ridge.accuracy, spec)
    return descend(config, state, ridge, g_images), metrics


def state_to_arrays(state: SupportState) -> dict[str, np.ndarray]:
    """Return the state as named arrays, for `np.savez`; nothing is rounded."""
    return state.to_arrays()


def state_from_arrays(config: KipConfig, arrays: Mapping[str, np.ndarray]) -> SupportState:
    """Read what `state_to_arrays` gave, of a run with the same `config`.

    Raises:
        ValueError: if an array is missing, or is not of the shape and dtype that `config` implies.
    """
    state = restore_support(config, arrays)
    initial_state(config, state.images, state.labels)  # Raises if an image is too small.
    return state


@dataclasses.dataclass(frozen=True)
class Kip(LearnedSupport):
    """KIP as an `Algorithm`: a step learns from one target batch.

    Attributes:
        config: its parameters.
        batches: the target batches.
        computer: who computes kernels.
        start: gives the images and labels to start from; called for a new run only.
        scoring: scores the support set.
        softmax_scale: of the labels to start from, as for `begin_support`.
    """

    config: KipConfig
    batches: TargetBatches
    computer: KernelComputer
    start: Callable[[], Support]
    scoring: KrrScoring
    softmax_scale: float | None = None

    def begin(self) -> SupportState:
        """Return the state before the first step."""
        images, labels = self.start()
        images = self.config.corruption.of(images)
        return initial_state(self.config, images, labels, self.softmax_scale)

    def advance(self, state: SupportState, step: int) -> tuple[SupportState, dict[str, float]]:
        """Return the state after step `step`, and what it measured."""
        x_t, y_t = self.batches.pixel_batch(state.step)
        state, metrics = kip_step(self.config, state, self.computer, x_t, y_t)
        return state, {"loss": metrics.loss, "accuracy": metrics.accuracy}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> SupportState:
        """Return the state that `save` gave."""
        return state_from_arrays(self.config, arrays)
