import numpy as np
import pytest

from stillhouse.methods.kernel_regression.evaluation import evaluate_krr
from stillhouse.methods.kernel_regression.label_solve import LabelSolver


def _problem(s=12, t=200, k=4, rank=30, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(s + t, rank)) * np.logspace(0, -1, rank)
    gram = features @ features.T
    return gram[:s, :s], gram[s:, :s], rng.normal(size=(t, k))


def _direct(K_ss, K_ts, y_t, regularisation=1e-6):
    s = len(K_ss)
    a = K_ts @ np.linalg.inv(K_ss + regularisation * np.trace(K_ss) / s * np.eye(s))
    return np.linalg.pinv(a, rcond=1e-7) @ y_t, a


def _solver(K_ss, K_ts, y_t, sizes=(70, 100, 30)):
    solver = LabelSolver(K_ss, y_t.shape[1])
    for start, size in zip(np.cumsum((0, *sizes)), sizes, strict=False):
        solver.update(K_ts[start : start + size], y_t[start : start + size])
    return solver


def test_streamed_chunks_give_the_pseudo_inverse():
    K_ss, K_ts, y_t = _problem()
    expected, a = _direct(K_ss, K_ts, y_t)
    solver = _solver(K_ss, K_ts, y_t)
    assert (solver.chunks, solver.targets) == (3, 200)
    labels = solver.solve()
    assert labels.dtype == np.float32
    np.testing.assert_allclose(labels, expected, rtol=1e-6, atol=1e-7)
    assert solver.loss(expected) == pytest.approx(
        0.5 * np.mean((a @ expected - y_t) ** 2), rel=1e-10
    )


def test_no_other_labels_are_better():
    K_ss, K_ts, y_t = _problem()
    solver = _solver(K_ss, K_ts, y_t)
    labels = solver.solve()
    rng = np.random.default_rng(1)
    for _ in range(5):
        assert solver.loss(labels + 0.01 * rng.normal(size=labels.shape)) > solver.loss(labels)


def test_equal_images_share_the_least_norm_solution():
    """Of all solutions the least in norm: a duplicate gets the labels of its twin."""
    K_ss, K_ts, y_t = _problem()
    order = [*range(12), 3, 3, 7]
    K_ss, K_ts = K_ss[np.ix_(order, order)], K_ts[:, order]
    labels = _solver(K_ss, K_ts, y_t).solve()
    expected, _ = _direct(K_ss, K_ts, y_t)
    np.testing.assert_allclose(labels, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(labels[[3, 3, 7]], labels[[12, 13, 14]], rtol=1e-4, atol=1e-5)


def test_fewer_targets_than_support_images_are_fitted_exactly_with_least_norm():
    K_ss, K_ts, y_t = _problem(t=8)
    solver = _solver(K_ss, K_ts, y_t, sizes=(5, 3))
    expected, a = _direct(K_ss, K_ts, y_t)
    labels = solver.solve()
    np.testing.assert_allclose(labels, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(a @ labels, y_t, atol=1e-4)


def test_solved_labels_beat_the_true_ones(computer, spec, digits):
    (x, y), (x_test, y_test) = digits
    one_hot = np.eye(10, dtype=np.float32) - np.float32(0.1)
    x_s = x[:100]
    solver = LabelSolver(computer.gram(spec, x_s), 10)
    for start in range(0, 1400, 500):
        chunk = slice(start, start + 500)
        solver.update(computer.cross(spec, x[chunk], x_s), one_hot[y[chunk]])
    test = [(x_test, one_hot[y_test])]
    solved = evaluate_krr(computer, spec, x_s, solver.solve(), test)
    real = evaluate_krr(computer, spec, x_s, one_hot[y[:100]], test)
    assert solved.mse < 0.9 * real.mse
    assert solved.accuracy > real.accuracy


def test_a_resumed_solver_ends_in_the_same_bits(tmp_path):
    K_ss, K_ts, y_t = _problem()
    straight = _solver(K_ss, K_ts, y_t)
    np.savez(tmp_path / "state.npz", **_solver(K_ss, K_ts, y_t, sizes=(70,)).to_arrays())
    with np.load(tmp_path / "state.npz", allow_pickle=False) as arrays:
        resumed = LabelSolver.from_arrays(arrays)
    assert resumed.chunks == 1
    for chunk in (slice(70, 170), slice(170, 200)):
        resumed.update(K_ts[chunk], y_t[chunk])
    for name, array in straight.to_arrays().items():
        assert array.tobytes() == resumed.to_arrays()[name].tobytes(), name
    assert straight.solve().tobytes() == resumed.solve().tobytes()


def test_bad_chunks_are_refused_and_change_nothing():
    K_ss, K_ts, y_t = _problem()
    solver = _solver(K_ss, K_ts, y_t)
    before = solver.to_arrays()
    spoilt = K_ts[:5].copy()
    spoilt[2, 2] = np.nan
    with pytest.raises(FloatingPointError, match="chunk 3"):
        solver.update(spoilt, y_t[:5])
    with pytest.raises(ValueError, match=r"`K_ts` must be \[t, 12\]"):
        solver.update(K_ts[:5, :11], y_t[:5])
    with pytest.raises(ValueError, match=r"`y_t` must be \[5, 4\]"):
        solver.update(K_ts[:5], y_t[:4])
    for name, array in before.items():
        np.testing.assert_array_equal(array, solver.to_arrays()[name])


def test_wrong_arguments_are_named():
    K_ss, K_ts, y_t = _problem()
    with pytest.raises(ValueError, match="`K_ss` must be a square matrix"):
        LabelSolver(K_ss[:5], 4)
    with pytest.raises(ValueError, match="`num_classes` must be positive"):
        LabelSolver(K_ss, 0)
    with pytest.raises(ValueError, match="call `update` first"):
        LabelSolver(K_ss, 4).solve()
    with pytest.raises(ValueError, match="`rcond` must not be negative"):
        _solver(K_ss, K_ts, y_t).solve(rcond=-1.0)
    with pytest.raises(ValueError, match="'gram'.*missing"):
        LabelSolver.from_arrays({"factor": K_ss})
