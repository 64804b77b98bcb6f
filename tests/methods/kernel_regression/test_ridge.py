import jax
import numpy as np
import pytest

from stillhouse.methods.kernel_regression.ridge import (
    krr_predict,
    krr_step,
    krr_weights,
    ridge_factor,
)


def _problem(s=7, t=19, k=3, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(s + t, 40))
    gram = features @ features.T / 40
    return gram[:s, :s], gram[s:, :s], rng.normal(size=(s, k)), rng.normal(size=(t, k))


def _numpy_loss(K_ss, K_ts, y_s, y_t, regularisation):
    s = len(K_ss)
    ridge = regularisation * np.trace(K_ss) / s
    weights = np.linalg.inv(K_ss + ridge * np.eye(s)) @ y_s
    return 0.5 * np.mean((K_ts @ weights - y_t) ** 2)


@pytest.mark.parametrize("regularisation", [1e-6, 0.3])
def test_step_agrees_with_the_closed_form(regularisation):
    K_ss, K_ts, y_s, y_t = _problem()
    s = len(K_ss)
    step = krr_step(K_ss, K_ts, y_s, y_t, regularisation=regularisation)

    inverse = np.linalg.inv(K_ss + regularisation * np.trace(K_ss) / s * np.eye(s))
    weights = inverse @ y_s
    error = (K_ts @ weights - y_t) / y_t.size
    g_labels = inverse @ K_ts.T @ error
    g_matrix = -g_labels @ weights.T
    g_ss = g_matrix + regularisation / s * np.trace(g_matrix) * np.eye(s)

    assert step.loss == pytest.approx(_numpy_loss(K_ss, K_ts, y_s, y_t, regularisation), rel=1e-12)
    np.testing.assert_allclose(step.g_labels, g_labels, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(step.g_ts, error @ weights.T, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(step.g_ss, g_ss, rtol=1e-9, atol=1e-14)
    for array in (step.g_ss, step.g_ts, step.g_labels):
        assert array.dtype == np.float64


@pytest.mark.parametrize("regularisation", [1e-6, 0.3])
def test_cotangents_agree_with_finite_differences(regularisation):
    arrays = _problem()
    step = krr_step(*arrays, regularisation=regularisation)
    rng = np.random.default_rng(1)
    for i, cotangent in enumerate((step.g_ss, step.g_ts, step.g_labels)):
        direction = rng.normal(size=arrays[i].shape)
        if i == 0:
            direction += direction.T  # K_ss stays a symmetric matrix.
        moved = [list(arrays) for _ in range(2)]
        for sign, values in zip((1, -1), moved, strict=True):
            values[i] = arrays[i] + sign * 1e-6 * direction
        high, low = (_numpy_loss(*values, regularisation) for values in moved)
        assert np.sum(cotangent * direction) == pytest.approx((high - low) / 2e-6, rel=1e-6)


def _one_hot_problem():
    K_ss, K_ts, y_s, y_t = _problem()
    return K_ss, K_ts, y_s, np.eye(3)[y_t.argmax(axis=1)] - 1 / 3


def _numpy_cross_entropy(K_ss, K_ts, y_s, y_t, log_scale, regularisation):
    p = np.exp(log_scale) * _numpy_predictions(K_ss, K_ts, y_s, regularisation)
    chosen = p[np.arange(len(p)), y_t.argmax(axis=1)]
    return np.mean(np.log(np.exp(p).sum(axis=1)) - chosen)


def _numpy_predictions(K_ss, K_ts, y_s, regularisation):
    ridge = regularisation * np.trace(K_ss) / len(K_ss)
    return K_ts @ np.linalg.inv(K_ss + ridge * np.eye(len(K_ss))) @ y_s


@pytest.mark.parametrize("regularisation", [1e-6, 0.3])
def test_the_cross_entropy_agrees_with_numpy_and_finite_differences(regularisation):
    arrays = (*_one_hot_problem(), np.log(2.5))
    options = {"regularisation": regularisation, "loss": "cross_entropy", "scale": 2.5}
    step = krr_step(*arrays[:4], **options)
    expected = _numpy_cross_entropy(*arrays, regularisation)
    assert step.loss == pytest.approx(expected, rel=1e-12)
    rng = np.random.default_rng(1)
    cotangents = {0: step.g_ss, 1: step.g_ts, 2: step.g_labels, 4: step.g_log_scale}
    for i, cotangent in cotangents.items():
        direction = rng.normal(size=np.shape(arrays[i]))
        direction = direction + direction.T if i == 0 else direction
        high, low = (
            _numpy_cross_entropy(
                *arrays[:i], arrays[i] + sign * direction, *arrays[i + 1 :], regularisation
            )
            for sign in (1e-6, -1e-6)
        )
        assert np.sum(cotangent * direction) == pytest.approx((high - low) / 2e-6, rel=1e-5)
    # Rows of labels may be moved as one likes: a softmax does not see it.
    np.testing.assert_allclose(step.g_labels.sum(axis=1), 0, atol=1e-12)


def test_the_fit_brings_predictions_nearest_to_the_labels():
    K_ss, K_ts, y_s, y_t = _one_hot_problem()
    step = krr_step(K_ss, K_ts, y_s, y_t, loss="cross_entropy")
    predictions = _numpy_predictions(K_ss, K_ts, y_s, 1e-6)
    (expected,) = np.linalg.lstsq(predictions.reshape(-1, 1), y_t.ravel(), rcond=None)[0]
    assert step.fit[0] / step.fit[1] == pytest.approx(expected, rel=1e-9)


def test_a_loss_that_is_none_is_named():
    with pytest.raises(ValueError, match="`loss` must be one of mse, cross_entropy, got 'hinge'"):
        krr_step(*_problem(), loss="hinge")


def test_accuracy_is_argmax_agreement():
    K_ss, K_ts, y_s, y_t = _problem()
    predictions = K_ts @ np.linalg.inv(K_ss + 1e-6 * np.trace(K_ss) / 7 * np.eye(7)) @ y_s
    expected = np.mean(predictions.argmax(1) == y_t.argmax(1))
    assert 0 < expected < 1
    assert krr_step(K_ss, K_ts, y_s, y_t).accuracy == pytest.approx(expected, abs=1e-15)


def test_predictions_agree_with_numpy():
    K_ss, K_ts, y_s, _ = _problem()
    expected = K_ts @ np.linalg.solve(K_ss + 0.1 * np.trace(K_ss) / 7 * np.eye(7), y_s)
    np.testing.assert_allclose(krr_predict(K_ss, K_ts, y_s, 0.1), expected, rtol=1e-10)
    np.testing.assert_allclose(
        K_ts @ krr_weights(K_ss, y_s, regularisation=0.1), expected, rtol=1e-10
    )


def test_the_ridge_follows_the_scale_of_the_kernel():
    K_ss, K_ts, y_s, y_t = _problem()
    one = krr_step(K_ss, K_ts, y_s, y_t, regularisation=0.1)
    other = krr_step(1e3 * K_ss, 1e3 * K_ts, y_s, y_t, regularisation=0.1)
    assert other.loss == pytest.approx(one.loss, rel=1e-12)


def test_duplicate_images_are_no_trouble():
    K_ss, K_ts, y_s, y_t = _problem()
    order = [0, 1, 2, 2, 3, 4, 5, 6, 6]
    step = krr_step(
        K_ss[np.ix_(order, order)].astype(np.float32),
        K_ts[:, order].astype(np.float32),
        np.concatenate([y_s[:3], y_s[2:], y_s[6:]]),
        y_t,
    )
    # Equal images with equal labels say what one says: the loss is that without the copies.
    assert step.loss == pytest.approx(krr_step(K_ss, K_ts, y_s, y_t).loss, rel=1e-3)
    assert all(np.isfinite(g).all() for g in (step.g_ss, step.g_ts, step.g_labels))


def test_what_is_singular_is_not_finite():
    K_ss, K_ts, y_s, y_t = _problem()
    K_ss[0, 0] = -1.0
    assert not np.isfinite(krr_step(K_ss, K_ts, y_s, y_t).loss)
    with pytest.raises(FloatingPointError, match="positive definite.*larger `regularisation`"):
        krr_predict(K_ss, K_ts, y_s)
    K_ss[0, 0] = np.nan
    assert not np.isfinite(krr_step(K_ss, K_ts, y_s, y_t).loss)
    with pytest.raises(FloatingPointError, match="NaN"):
        ridge_factor(K_ss, 1e-6)


def test_double_precision_stays_inside():
    K_ss, K_ts, y_s, y_t = _problem()
    krr_step(K_ss, K_ts, y_s, y_t)
    assert jax.numpy.ones(3).dtype == np.float32
    with pytest.raises(ValueError):
        krr_step(K_ss, K_ts, y_s, y_t[:-1])
    assert jax.numpy.asarray(np.ones(3)).dtype == np.float32


def test_a_step_repeats_its_bits():
    arrays = [a.astype(np.float32) for a in _problem(s=20, t=700, k=10, seed=3)]
    first = krr_step(*arrays)
    for step in [krr_step(*arrays) for _ in range(5)]:
        assert step.loss == first.loss
        for name in ("g_ss", "g_ts", "g_labels"):
            np.testing.assert_array_equal(getattr(step, name), getattr(first, name))


def test_a_step_compiles_once_for_its_shapes(caplog):
    arrays = _problem(s=5, t=11)
    with jax.log_compiles():
        krr_step(*arrays)
        assert "ompiling" in caplog.text
        caplog.clear()
        krr_step(*(a.astype(np.float32) for a in arrays), regularisation=1e-3)
        assert "ompiling" not in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"K_ss": np.ones((7, 6))}, "`K_ss` must be a square matrix"),
        ({"K_ss": np.ones((0, 0))}, "`K_ss` must be a square matrix"),
        ({"K_ts": np.ones((19, 6))}, r"`K_ts` must be \[n, 7\]"),
        ({"K_ts": np.ones(7)}, r"`K_ts` must be \[n, 7\]"),
        ({"y_s": np.ones((6, 3))}, r"`y_s` must be \[7, k\]"),
        ({"y_t": np.ones((19, 2))}, r"`y_t` must be \[19, 3\]"),
        ({"regularisation": -1.0}, "`regularisation` must be zero or positive"),
        ({"regularisation": float("nan")}, "`regularisation` must be zero or positive"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    K_ss, K_ts, y_s, y_t = _problem()
    arguments = {"K_ss": K_ss, "K_ts": K_ts, "y_s": y_s, "y_t": y_t, **change}
    with pytest.raises(ValueError, match=message):
        krr_step(**arguments)
