"""Kernel ridge regression from a support set: predictions, the loss, and its cotangents.

Everything is float64: the ridge is 1e-6 of the mean diagonal of K_ss, near what float32 can
resolve. JAX's 64-bit mode is on only inside these functions, and only on the CPU, so neither the
precision nor the device of the rest of the process changes.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from types import ModuleType

import jax
import jax.experimental
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np
import scipy.linalg

from stillhouse.data.arguments import check_arguments

# `enable_x64` left `jax.experimental` for `jax` in JAX 0.8.
_X64_HOME: ModuleType = jax if hasattr(jax, "enable_x64") else jax.experimental


@dataclasses.dataclass(frozen=True)
class RidgeStep:
    """The loss of a support set on a target batch, and its derivatives.

    Attributes:
        loss: 1/2 of the mean squared error over all entries of the targets' labels, or the mean
            cross entropy of the scaled predictions.
        accuracy: the share of targets whose predicted and true labels have the same argmax.
        g_ss: dL/dK_ss, float64 `[s, s]`, by each element alone (not symmetrised).
        g_ts: dL/dK_ts, float64 `[t, s]`.
        g_labels: dL/dy_s, float64 `[s, k]`.
        g_log_scale: the derivative of the cross entropy by the logarithm of the scale, else 0.
        fit: the means of p y and of p p over all entries, with predictions p and targets' labels y:
            their ratio is the number by which p comes nearest to y.
    """

    loss: float
    accuracy: float
    g_ss: np.ndarray
    g_ts: np.ndarray
    g_labels: np.ndarray
    g_log_scale: float = 0.0
    fit: tuple[float, float] = (1.0, 1.0)


LOSSES = ("mse", "cross_entropy")


def krr_step(
    K_ss: np.ndarray,
    K_ts: np.ndarray,
    y_s: np.ndarray,
    y_t: np.ndarray,
    *,
    regularisation: float = 1e-6,
    loss: str = "mse",
    scale: float = 1.0,
) -> RidgeStep:
    """Return the KRR loss on a target batch with its cotangents.

        p = K_ts (K_ss + lambda I)^-1 y_s,  lambda = regularisation tr(K_ss) / s
        L = 1/2 mean (p - y_t)^2,  or  L = - sum q log softmax(scale p) / t

    with q the targets' labels moved to a sum of one: one-hot where y_t is centred one-hot.

    lambda is a function of K_ss, and is differentiated as such. A matrix that is singular in
    spite of the ridge, or not finite, gives a loss that is not finite.

    Args:
        K_ss: kernel of the support set, symmetric `[s, s]`.
        K_ts: kernel of targets with the support set, `[t, s]`.
        y_s: labels of the support set, `[s, k]`.
        y_t: labels of the targets, `[t, k]`.
        regularisation: the ridge as a share of the mean diagonal of K_ss.
        loss: "mse", or "cross_entropy".
        scale: what the predictions are multiplied by for the cross entropy.

    Raises:
        ValueError: if the shapes do not agree, `regularisation` is negative or there is no such
            loss.

    References:
        Nguyen, Chen, Lee. Dataset Meta-Learning from Kernel Ridge-Regression. ICLR 2021,
        https://arxiv.org/abs/2011.00050
        Nguyen, Novak, Xiao, Lee. Dataset Distillation with Infinitely Wide Convolutional
        Networks. NeurIPS 2021, https://arxiv.org/abs/2107.13034 (equation 1)
        Loo, Hasani, Amini, Rus. Efficient Dataset Distillation using Random Feature Approximation.
        NeurIPS 2022, https://arxiv.org/abs/2210.12067 (the cross entropy, "Platt loss")
    """
    if loss not in LOSSES:
        raise ValueError(f"`loss` must be one of {', '.join(LOSSES)}, got {loss!r}")
    _check_support(K_ss, regularisation)
    _check_cross("K_ts", K_ts, len(K_ss))
    _check_labels(y_s, len(K_ss))
    if np.shape(y_t) != (K_ts.shape[0], y_s.shape[1]):
        raise ValueError(
            f"`y_t` must be [{K_ts.shape[0]}, {y_s.shape[1]}], as many rows as `K_ts` and columns "
            f"as `y_s`, got shape {np.shape(y_t)}"
        )
    with _double_precision():
        arrays = [_f64(a) for a in (K_ss, K_ts, y_s, y_t, regularisation)]
        if loss == "mse":
            (value, accuracy), cotangents = _loss_and_cotangents(*arrays)
            g_scale, fit = 0.0, (1.0, 1.0)
        else:
            found = _cross_entropy_and_cotangents(*arrays, np.log(_f64(scale)))
            (value, accuracy, *sums), (*cotangents, g_scale) = found
            fit = float(sums[0]), float(sums[1])
        g_ss, g_ts, g_labels = map(np.asarray, cotangents)
    return RidgeStep(float(value), float(accuracy), g_ss, g_ts, g_labels, float(g_scale), fit)


def krr_weights(K_ss: np.ndarray, y_s: np.ndarray, *, regularisation: float = 1e-6) -> np.ndarray:
    """Return (K_ss + lambda I)^-1 y_s, float64 `[s, k]`: predictions are K_xs times it.

    Raises:
        ValueError: if the shapes do not agree, `regularisation` is negative or a label not finite.
        FloatingPointError: if K_ss with its ridge is not finite or not positive definite.
    """
    factor = ridge_factor(K_ss, regularisation)
    _check_labels(y_s, len(K_ss))
    if not np.isfinite(y_s).all():
        raise ValueError("`y_s` must be finite, got NaN or infinity")
    return scipy.linalg.cho_solve(factor, _f64(y_s))


@check_arguments
def krr_predict(
    K_ss: np.ndarray, K_xs: np.ndarray, y_s: np.ndarray, regularisation: float = 1e-6
) -> np.ndarray:
    """Return the predicted labels K_xs (K_ss + lambda I)^-1 y_s, float64 `[x, k]`.

    Args:
        K_ss: kernel of the support set, symmetric `[s, s]`.
        K_xs: kernel of the images to predict with the support set, `[x, s]`.
        y_s: labels of the support set, `[s, k]`.
        regularisation: the ridge as a share of the mean diagonal of K_ss.

    Raises:
        ValueError: if the shapes do not agree, `regularisation` is negative or a label not finite.
        FloatingPointError: if K_ss with its ridge is not finite or not positive definite.
    """
    K_ss, K_xs, y_s = map(np.asarray, (K_ss, K_xs, y_s))
    _check_support(K_ss, regularisation)
    _check_cross("K_xs", K_xs, len(K_ss))
    return _f64(K_xs) @ krr_weights(K_ss, y_s, regularisation=regularisation)


def ridge_factor(K_ss: np.ndarray, regularisation: float) -> tuple[np.ndarray, bool]:
    """Return the Cholesky factor of K_ss + lambda I in float64, for `scipy.linalg.cho_solve`.

    Raises:
        ValueError: if K_ss is not square or `regularisation` is negative.
        FloatingPointError: if the matrix is not finite or not positive definite.
    """
    _check_support(K_ss, regularisation)
    matrix = _f64(K_ss)
    if not np.isfinite(matrix).all():
        raise FloatingPointError("the kernel of the support set holds NaN or infinite values")
    matrix = matrix + regularisation * np.trace(matrix) / len(matrix) * np.eye(len(matrix))
    try:
        return scipy.linalg.cho_factor(matrix, lower=True)
    except scipy.linalg.LinAlgError as error:
        raise FloatingPointError(
            f"the kernel of the support set with `regularisation` {regularisation:g} is not "
            "positive definite; use a larger `regularisation`, or drop images that are nearly equal"
        ) from error


# Numbers, and the derivatives of the first of them.
_Found = tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]


@jax.jit
def _loss_and_cotangents(
    K_ss: jax.Array, K_ts: jax.Array, y_s: jax.Array, y_t: jax.Array, regularisation: jax.Array
) -> _Found:
    def loss_of(K_ss: jax.Array, K_ts: jax.Array, y_s: jax.Array) -> tuple[jax.Array, jax.Array]:
        predictions = _predictions(K_ss, K_ts, y_s, regularisation)
        return jnp.mean((predictions - y_t) ** 2) / 2, predictions

    loss, pull_back, predictions = jax.vjp(loss_of, K_ss, K_ts, y_s, has_aux=True)
    return (loss, _agreement(predictions, y_t)), pull_back(jnp.ones_like(loss))


@jax.jit
def _cross_entropy_and_cotangents(
    K_ss: jax.Array,
    K_ts: jax.Array,
    y_s: jax.Array,
    y_t: jax.Array,
    regularisation: jax.Array,
    log_scale: jax.Array,
) -> _Found:
    classes = y_t + (1 - jnp.sum(y_t, axis=1, keepdims=True)) / y_t.shape[1]

    def loss_of(
        K_ss: jax.Array, K_ts: jax.Array, y_s: jax.Array, log_scale: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        predictions = _predictions(K_ss, K_ts, y_s, regularisation)
        logarithms = jax.nn.log_softmax(jnp.exp(log_scale) * predictions)
        return -jnp.mean(jnp.sum(classes * logarithms, axis=1)), predictions

    loss, pull_back, predictions = jax.vjp(loss_of, K_ss, K_ts, y_s, log_scale, has_aux=True)
    fit = jnp.mean(predictions * y_t), jnp.mean(predictions**2)
    return (loss, _agreement(predictions, y_t), *fit), pull_back(jnp.ones_like(loss))


def _predictions(
    K_ss: jax.Array, K_ts: jax.Array, y_s: jax.Array, regularisation: jax.Array
) -> jax.Array:
    s = K_ss.shape[0]
    ridge = regularisation * jnp.trace(K_ss) / s
    # Cholesky; the derivative reuses the factor for a second solve, and so is as accurate.
    return K_ts @ jax.scipy.linalg.solve(K_ss + ridge * jnp.eye(s), y_s, assume_a="pos")


def _agreement(predictions: jax.Array, y_t: jax.Array) -> jax.Array:
    agree = jnp.argmax(predictions, axis=1) == jnp.argmax(y_t, axis=1)
    return jnp.mean(agree, dtype=predictions.dtype)


@contextlib.contextmanager
def _double_precision() -> Iterator[None]:
    with _X64_HOME.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        yield


def _f64(array: np.ndarray | float) -> np.ndarray:
    return np.asarray(array, np.float64)


def _check_support(K_ss: np.ndarray, regularisation: float) -> None:
    if np.ndim(K_ss) != 2 or K_ss.shape[0] != K_ss.shape[1] or not len(K_ss):
        raise ValueError(f"`K_ss` must be a square matrix, got shape {np.shape(K_ss)}")
    if not (np.isfinite(regularisation) and regularisation >= 0):
        raise ValueError(f"`regularisation` must be zero or positive, got {regularisation}")


def _check_labels(y_s: np.ndarray, s: int) -> None:
    if np.ndim(y_s) != 2 or len(y_s) != s:
        raise ValueError(
            f"`y_s` must be [{s}, k], a row for each support image, got shape {np.shape(y_s)}"
        )


def _check_cross(name: str, K_xs: np.ndarray, s: int) -> None:
    if np.ndim(K_xs) != 2 or K_xs.shape[1] != s or not len(K_xs):
        raise ValueError(
            f"`{name}` must be [n, {s}], a column for each support image, got shape "
            f"{np.shape(K_xs)}"
        )
