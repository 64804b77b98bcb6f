"""A support set learned by gradient descent through kernel ridge regression, by any kernel."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import optax

from stillhouse.data.arguments import check_fields
from stillhouse.methods.algorithm import NonFiniteStepError
from stillhouse.methods.coordinates import COORDINATES, in_coordinates
from stillhouse.methods.corruption import Corruption
from stillhouse.methods.kernel_regression.kernel_settings import check_labels_of
from stillhouse.methods.kernel_regression.ridge import LOSSES, RidgeStep, krr_step
from stillhouse.methods.learned import Learned, begin_learning, restore_learning

RULES = {"adam": optax.adam, "adabelief": optax.adabelief, "lamb": optax.lamb}
# What the scale of the predictions is before the first step, where nobody says.
_SCALE = 4.0
# What a step leaves of the fit of the steps before it.
_FIT_MEMORY = 0.95


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegressionConfig:
    """How a support set is learned. The defaults are those published for KIP.

    Attributes:
        learning_rate: the optimiser's, for images and labels alike.
        decay_steps: after how many steps it has fallen to zero, along a cosine; None where it stays
            as it is.
        learn_labels: learn the support labels too, or keep them as they are.
        regularisation: the ridge as a share of the mean diagonal of K_ss.
        coordinates: in which the optimiser sees the images, see `stillhouse.methods.coordinates`.
        loss: of the predictions: "mse", or "cross_entropy" of their product with a learned scale.
        rule: the optimiser, one of `RULES`.
        corruption: which pixels are noise and stay it.

    Raises:
        ValueError: if a value is out of its range.
    """

    learning_rate: float = 0.04
    decay_steps: int | None = None
    learn_labels: bool = True
    regularisation: float = 1e-6
    coordinates: str = "pixel"
    loss: str = "mse"
    rule: str = "adam"
    corruption: Corruption = Corruption()

    def __post_init__(self) -> None:
        check_fields(self)
        if not (np.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"`learning_rate` must be positive, got {self.learning_rate}")
        if self.decay_steps is not None and self.decay_steps < 1:
            raise ValueError(f"`decay_steps` must be 1 or more, or None, got {self.decay_steps}")
        if not (np.isfinite(self.regularisation) and self.regularisation >= 0):
            raise ValueError(
                f"`regularisation` must be zero or positive, got {self.regularisation}"
            )
        for name, known in (("coordinates", COORDINATES), ("loss", LOSSES), ("rule", RULES)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(known)}, got {getattr(self, name)!r}"
                )
        if self.corruption.share and self.coordinates != "pixel":
            raise ValueError(
                f"`corruption` is of pixels, and an update in `coordinates` {self.coordinates} "
                "moves them all; use pixel"
            )

    @property
    def learned(self) -> tuple[str, ...]:
        """The names of what is learned."""
        labels = ("labels",) if self.learn_labels else ()
        return ("images", *labels, *(("log_scale",) if self.loss == "cross_entropy" else ()))

    def optimiser(self) -> optax.GradientTransformation:
        """Return what makes an update of a gradient, at the step's learning rate."""
        rate: optax.ScalarOrSchedule = self.learning_rate
        if self.decay_steps is not None:
            rate = optax.cosine_decay_schedule(self.learning_rate, self.decay_steps)
        return self.corruption.held(in_coordinates(RULES[self.rule](rate), self.coordinates))


@dataclasses.dataclass(frozen=True)
class SupportState:
    """What a step starts from, and ends with.

    Attributes:
        learned: the images, float32 `[s, h, w, c]` in the space in which the kernel sees them; the
            labels, float32 `[s, k]`, where these are learned too; for the cross entropy the
            logarithm of the scale of the predictions, float32 `[1]`.
        fixed: the labels, where they are not learned; for the cross entropy the "fit", float64
            `[2]`: running sums of `RidgeStep.fit`.
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
        """The labels as the regression has them now."""
        return {**self.learned.arrays, **self.fixed}["labels"]

    @property
    def scale(self) -> float:
        """What the predictions are multiplied by for the cross entropy; 1 for another loss."""
        log_scale = self.learned.arrays.get("log_scale")
        return 1.0 if log_scale is None else float(np.exp(log_scale[0]))

    @property
    def label_scale(self) -> float:
        """The number that brings the predictions nearest to centred one-hot labels.

        The cross entropy does not care how large predictions are, as long as their scale makes up
        for it. Labels that are not learned stay as they are.
        """
        if "fit" not in self.fixed or "labels" in self.fixed:
            return 1.0
        agreement, squares = self.fixed["fit"]
        return float(agreement / squares) if agreement > 0 and squares > 0 else 1.0

    @property
    def one_hot_labels(self) -> np.ndarray:
        """The labels in the scale of centred one-hot targets, float32: those that a set leaves."""
        scale = self.label_scale
        return self.labels if scale == 1.0 else self.labels * np.float32(scale)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the state as named arrays, for `np.savez`; nothing is rounded."""
        return {**self.learned.to_arrays(), **self.fixed}


def begin_support(
    config: RegressionConfig,
    images: np.ndarray,
    labels: np.ndarray,
    softmax_scale: float | None = None,
) -> SupportState:
    """Return the state before the first step.

    Args:
        config: the parameters of the run.
        images: the support images to start from, `[s, h, w, c]`.
        labels: their labels, usually centred one-hot, `[s, k]`.
        softmax_scale: what predictions from them are multiplied by for the cross entropy to begin
            with; None for what suits one-hot labels.

    Raises:
        ValueError: if shapes do not agree, a value is not finite, or labels that stay as they are
            have no class, which a cross entropy needs.
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
    check_labels_of(config.loss, config.learn_labels, labels)
    arrays = {"images": images, "labels": labels}
    if config.loss == "cross_entropy":
        scale = _SCALE if softmax_scale is None else softmax_scale
        arrays["log_scale"] = np.log(np.full(1, scale, np.float32))
        arrays["fit"] = np.zeros(2)
    learned = {name: arrays.pop(name) for name in config.learned}
    return SupportState(begin_learning(config.optimiser(), learned), arrays)


def restore_support(config: RegressionConfig, arrays: Mapping[str, np.ndarray]) -> SupportState:
    """Read what `SupportState.to_arrays` gave, of a run with the same `config`.

    Raises:
        ValueError: if an array is missing, or is not of the shape and dtype that `config` implies.
    """
    learned = restore_learning(config.optimiser(), arrays, config.learned)
    kept = ("fit",) if config.loss == "cross_entropy" else ()
    names = (*(() if config.learn_labels else ("labels",)), *kept)
    try:
        state = SupportState(learned, {name: np.asarray(arrays[name]) for name in names})
        begin_support(config, state.images, state.labels)  # Raises if they are none.
    except KeyError as error:
        raise ValueError(f"not a state of these settings: the array {error} is missing") from error
    return state


def regress(
    config: RegressionConfig,
    state: SupportState,
    K_ss: np.ndarray,
    K_ts: np.ndarray,
    y_t: np.ndarray,
) -> RidgeStep:
    """Return the loss of a support set on a target batch, with its cotangents.

    Args:
        config: the parameters of the run.
        state: where the step starts.
        K_ss: kernel of the support set, `[s, s]`.
        K_ts: kernel of the targets with it, `[t, s]`.
        y_t: the targets' labels, centred one-hot, `[t, k]`.

    Raises:
        NonFiniteStepError: if the loss or a cotangent is NaN, or infinite in float32.
    """
    ridge = krr_step(
        *(K_ss, K_ts, state.labels, y_t),
        regularisation=config.regularisation,
        loss=config.loss,
        scale=state.scale,
    )
    check_finite(config, state, "loss", ridge.loss)
    for matrix, cotangent in (("K_ss", ridge.g_ss), ("K_ts", ridge.g_ts)):
        check_finite(config, state, f"gradient of {matrix}", cotangent.astype(np.float32))
    return ridge


def descend(
    config: RegressionConfig, state: SupportState, ridge: RidgeStep, g_images: np.ndarray
) -> SupportState:
    """Return the state after one update.

    Args:
        config: the parameters of the run.
        state: where the step starts.
        ridge: what `regress` gave of it.
        g_images: dL/d(images), float32 `[s, h, w, c]`.

    Raises:
        NonFiniteStepError: if the update is NaN or infinite.
    """
    gradients = {
        "images": g_images,
        "labels": ridge.g_labels.astype(np.float32),
        "log_scale": np.full(1, ridge.g_log_scale, np.float32),
    }
    learned = updated(config, state, gradients)
    if config.loss == "mse":
        return SupportState(learned, state.fixed)
    if config.learn_labels:
        # A softmax does not see the sum of a row, so what the optimiser makes of it is no matter.
        labels = learned.arrays["labels"]
        centred = labels - labels.mean(axis=1, keepdims=True)
        learned = dataclasses.replace(learned, arrays={**learned.arrays, "labels": centred})
    fit = _FIT_MEMORY * state.fixed["fit"] + np.asarray(ridge.fit)
    return SupportState(learned, {**state.fixed, "fit": fit})


def updated(
    config: RegressionConfig, state: SupportState, gradients: Mapping[str, np.ndarray]
) -> Learned:
    """Return what one update makes of all that is learned.

    Args:
        config: the parameters of the run.
        state: where the step starts.
        gradients: by name, float32; of what is not learned too.

    Raises:
        NonFiniteStepError: if the update is NaN or infinite.
    """
    learned = state.learned.updated(
        config.optimiser(), {name: gradients[name] for name in config.learned}
    )
    for name, array in learned.arrays.items():
        check_finite(config, state, f"update of the {name}", array)
    return learned


def softmax_scale(config: RegressionConfig, state: SupportState) -> dict[str, float]:
    """Return what predictions from `one_hot_labels` are to be multiplied by for a softmax.

    Returns:
        "softmax_scale", for a card; nothing where another loss has none.
    """
    if config.loss != "cross_entropy":
        return {}
    return {"softmax_scale": state.scale / state.label_scale}


def check_finite(
    config: RegressionConfig, state: SupportState, name: str, value: float | np.ndarray
) -> None:
    """Check a number or an array of a step.

    Raises:
        NonFiniteStepError: if it is NaN or infinite.
    """
    if not np.isfinite(value).all():
        raise NonFiniteStepError(
            state.step + 1,
            f"the {name}",
            f"a lower `learning_rate` (now {config.learning_rate:g}), a larger `regularisation` "
            f"(now {config.regularisation:g}), or support images that differ more",
        )
