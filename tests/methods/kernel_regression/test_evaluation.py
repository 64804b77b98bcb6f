import numpy as np
import pytest

from stillhouse.methods.kernel_regression.evaluation import evaluate_krr

_ONE_HOT = np.eye(10, dtype=np.float32) - np.float32(0.1)


def _chunks(x, labels, size):
    for start in range(0, len(x), size):
        yield x[start : start + size], _ONE_HOT[labels[start : start + size]]


def test_scores_are_those_of_the_whole_at_once(computer, spec, digits):
    (x, y), (x_test, y_test) = digits
    x_s, y_s = x[:40], _ONE_HOT[y[:40]]
    K_ss = computer.gram(spec, x_s).astype(np.float64)
    K_ts = computer.cross(spec, x_test, x_s).astype(np.float64)
    ridge = 1e-6 * np.trace(K_ss) / 40 * np.eye(40)
    predictions = K_ts @ np.linalg.solve(K_ss + ridge, y_s.astype(np.float64))

    scores = evaluate_krr(computer, spec, x_s, y_s, _chunks(x_test, y_test, 150))
    assert scores.accuracy == np.mean(predictions.argmax(1) == y_test)
    assert 0.5 < scores.accuracy < 1
    error = predictions - _ONE_HOT[y_test]
    assert scores.mse == pytest.approx(0.5 * np.mean(error**2), rel=1e-6)


def test_predicting_nothing_has_the_published_error(computer, spec, digits):
    """Labels of 0 predict 0: 1/2 (0.9^2 + 9 x 0.1^2) / 10 = 0.045."""
    x_test, y_test = digits[1]
    labels = np.zeros((10, 10), np.float32)
    scores = evaluate_krr(computer, spec, digits[0][0][:10], labels, _chunks(x_test, y_test, 97))
    assert scores.mse == pytest.approx(0.045, rel=1e-6)


def test_wrong_chunks_are_named(computer, spec, digits):
    x, y = digits[0]
    x_s, y_s = x[:10], _ONE_HOT[y[:10]]
    with pytest.raises(ValueError, match="no images to evaluate on"):
        evaluate_krr(computer, spec, x_s, y_s, [])
    with pytest.raises(ValueError, match=r"labels of a chunk must be \[5, 10\]"):
        evaluate_krr(computer, spec, x_s, y_s, [(x[:5], _ONE_HOT[y[:4]])])


def test_what_is_not_finite_is_no_score(computer, spec, digits):
    x, y = digits[0]
    x_s, y_s = x[:10], _ONE_HOT[y[:10]]
    spoilt = x[10:15].copy()
    spoilt[1, 2, 3] = np.nan
    with pytest.raises(FloatingPointError, match="predictions hold NaN"):
        evaluate_krr(computer, spec, x_s, y_s, [(spoilt, _ONE_HOT[y[10:15]])])
    with pytest.raises(FloatingPointError, match="kernel of the support set holds NaN"):
        evaluate_krr(computer, spec, spoilt, y_s[:5], [(x[:5], _ONE_HOT[y[:5]])])
    with pytest.raises(ValueError, match="`y_s` must be finite"):
        evaluate_krr(computer, spec, x_s, y_s * np.inf, [(x[:5], _ONE_HOT[y[:5]])])
