import importlib.util
import threading

import numpy as np
import pytest
from sklearn.datasets import load_digits

from stillhouse.kernels.architecture import conv, convnet, fc
from stillhouse.kernels.kernel import kernel
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.coresets import random_subset
from stillhouse.methods.kernel_regression.evaluation import evaluate_krr
from stillhouse.methods.kernel_regression.kip import KipConfig, initial_state, kip_step
from stillhouse.methods.kernel_regression.label_solve import LabelSolver
from stillhouse.methods.programs import Context, RandomFeatures
from stillhouse.methods.tasks import Task
from stillhouse.workers.local import LocalComputer, LocalRunner

_SPEC = KernelSpec(fc(1))
_ONE_HOT = np.eye(10, dtype=np.float32) - np.float32(0.1)

# Enough images for several tiles of every kind; small ones, so that they take no time.
_S, _T = 300, 700


@pytest.fixture(params=["xla", "neural_tangents"])
def backend(request):
    if request.param == "neural_tangents" and not importlib.util.find_spec("neural_tangents"):
        pytest.skip("neural_tangents is not installed")
    return request.param


@pytest.fixture(scope="module")
def computer():
    """One for all tests, for a kernel compiles once in its life."""
    return LocalComputer()


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    x_s, x_t = rng.normal(size=(_S, 2, 3, 1)), rng.normal(size=(_T, 2, 3, 1))
    g_ss, g_ts = rng.normal(size=(_S, _S)), rng.normal(size=(_T, _S))
    return tuple(array.astype(np.float32) for array in (x_s, x_t, g_ss, g_ts))


@pytest.fixture(scope="module")
def digits():
    raw, labels = load_digits(return_X_y=True)
    x = raw.reshape(-1, 8, 8, 1)
    return ((x - x.mean()) / x.std()).astype(np.float32), labels


def test_forward_is_the_kernel_of_all_images_at_once(backend, images):
    x_s, x_t, _, _ = images
    whole = kernel(_SPEC, backend=backend)
    K_ss, K_ts = LocalComputer(backend).forward(_SPEC, x_s, x_t)
    # Sums of pixels may run in another order where a block has another shape.
    np.testing.assert_allclose(K_ss, whole.gram(x_s), rtol=1e-6, atol=1e-6 * K_ss.max())
    np.testing.assert_allclose(K_ts, whole.block(x_t, x_s), rtol=1e-6, atol=1e-6 * K_ts.max())
    np.testing.assert_array_equal(K_ss, K_ss.T)
    assert (K_ss.dtype, K_ts.dtype) == (np.float32, np.float32)


def test_backward_is_the_gradient_of_all_images_at_once(backend, images):
    x_s, x_t, g_ss, g_ts = images
    whole = kernel(_SPEC, backend=backend)
    expected = whole.gram_vjp(x_s, g_ss) + whole.vjp(x_t, x_s, g_ts, wrt=(1,))[0]
    gradient = LocalComputer(backend).backward(_SPEC, x_s, x_t, g_ss, g_ts)
    assert gradient.dtype == np.float32
    # neural_tangents loses digits where two images point the same way.
    tolerance = 1e-5 if backend == "xla" else 1e-3
    np.testing.assert_allclose(gradient, expected, atol=tolerance * np.abs(expected).max())


def test_backward_agrees_with_finite_differences(computer, images):
    x_s, x_t, g_ss, g_ts = images
    direction = np.random.default_rng(1).normal(size=x_s.shape)

    def weighted_sum(x):
        K_ss, K_ts = computer.forward(_SPEC, x.astype(np.float32), x_t)
        return np.sum(g_ss * K_ss, dtype=np.float64) + np.sum(g_ts * K_ts, dtype=np.float64)

    slope = (weighted_sum(x_s + 1e-2 * direction) - weighted_sum(x_s - 1e-2 * direction)) / 2e-2
    gradient = computer.backward(_SPEC, x_s, x_t, g_ss, g_ts)
    assert np.sum(gradient * direction) == pytest.approx(slope, rel=1e-2)


def test_elements_are_counted_once_for_each_pass(computer, images):
    x_s, x_t, g_ss, g_ts = images
    one_pass = _S * (_S + 1) // 2 + _S * _T
    before = computer.elements
    computer.forward(_SPEC, x_s, x_t)
    assert computer.elements - before == one_pass
    computer.backward(_SPEC, x_s, x_t, g_ss, g_ts)
    assert computer.elements - before == 2 * one_pass
    computer.cross(_SPEC, x_t[:7], x_s[:5])
    assert computer.elements - before == 2 * one_pass + 35
    assert LocalComputer().elements == 0


def test_the_bits_do_not_depend_on_threads_or_history(computer, images):
    x_s, x_t, g_ss, g_ts = images
    computer.gram(_SPEC, x_s[:7])
    results = [
        (*one.forward(_SPEC, x_s, x_t), one.backward(_SPEC, x_s, x_t, g_ss, g_ts))
        for one in (computer, LocalComputer(threads=1))
    ]
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)


def test_networks_are_computed_side_by_side_to_the_same_bits(images):
    program = RandomFeatures(KernelSpec(conv(1)), 4)
    tasks = [Task(program, (images[0],), (np.array([seed], np.int64),)) for seed in range(5)]
    made = []
    for threads in (1, 3):
        runner = LocalRunner(Context("auto", threads))
        made.append([features.tobytes() for (features,) in runner.results(tasks)])
    assert made[0] == made[1]
    assert len(set(made[0])) == len(tasks)


def test_a_thread_each_only_where_a_task_has_nothing_to_share_out(images):
    met = threading.Barrier(2)

    class Meeting(RandomFeatures):
        def compute(self, context, shared, own):
            assert context.threads == 1
            met.wait(timeout=60)
            return super().compute(context, shared, own)

    program = Meeting(KernelSpec(conv(1)), 4)
    tasks = [Task(program, (images[0],), (np.array([seed], np.int64),)) for seed in range(2)]
    assert len(list(LocalRunner(Context("auto", 2)).results(tasks))) == 2
    assert not program.side_by_side(Context("xla", 2))  # It may be a GPU's.


def test_a_kernel_is_made_once(computer):
    assert computer.kernel(_SPEC) is computer.kernel(KernelSpec(fc(1)))
    assert computer.kernel(KernelSpec(fc(1), "nngp")) is not computer.kernel(_SPEC)


def test_a_kernel_of_ones_own_serves_its_spec(computer, images):
    own = kernel(KernelSpec(fc(1), "nngp"))
    with_own = LocalComputer(kernels={_SPEC: own})
    found, expected = with_own.gram(_SPEC, images[0][:9]), own.gram(images[0][:9])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.abs(found - computer.gram(_SPEC, images[0][:9])).max() > 0.1


def test_kip_on_real_digits_learns(computer, digits):
    x, y = digits
    x_s, y_s = random_subset(x[:1400], y[:1400], 10, num_classes=10, seed=0)
    config = KipConfig((_SPEC,))
    elements = computer.elements
    start = state = initial_state(config, x_s, _ONE_HOT[y_s])
    losses = []
    for step in range(10):
        chosen = np.random.default_rng([0, step]).choice(1400, 500, replace=False)
        state, metrics = kip_step(config, state, computer, x[chosen], _ONE_HOT[y[chosen]])
        losses.append(metrics.loss)
    before, after = (
        evaluate_krr(computer, _SPEC, s.images, s.labels, [(x[1400:], _ONE_HOT[y[1400:]])])
        for s in (start, state)
    )
    assert losses[-1] < 0.8 * losses[0]
    assert after.accuracy > before.accuracy + 0.1
    assert computer.elements - elements == 10 * 2 * (55 + 5000) + 2 * (55 + 3970)


def test_label_solve_on_real_digits_beats_true_labels(computer, digits):
    x, y = digits
    spec = KernelSpec(conv(1), "nngp")
    x_s, y_s = random_subset(x[:1400], y[:1400], 50, num_classes=10, seed=0)
    solver = LabelSolver(computer.gram(spec, x_s), 10)
    for chunk in (slice(0, 700), slice(700, 1400)):
        solver.update(computer.cross(spec, x[chunk], x_s), _ONE_HOT[y[chunk]])
    test = [(x[1400:], _ONE_HOT[y[1400:]])]
    solved = evaluate_krr(computer, spec, x_s, solver.solve(), test)
    real = evaluate_krr(computer, spec, x_s, _ONE_HOT[y_s], test)
    assert solved.mse < real.mse


def test_wrong_images_are_named(computer, images):
    x_s, x_t, g_ss, g_ts = images
    with pytest.raises(ValueError, match=r"images must be \[n, h, w, c\]"):
        computer.gram(_SPEC, x_s[..., 0])
    with pytest.raises(ValueError, match="one height, width and channels"):
        computer.cross(_SPEC, x_t[:, :, :2], x_s)
    with pytest.raises(ValueError, match="too small"):
        computer.gram(KernelSpec(convnet()), x_s)
    with pytest.raises(ValueError, match=r"`g_ts` must be \[700, 300\]"):
        computer.backward(_SPEC, x_s, x_t, g_ss, g_ts.T)
    with pytest.raises(ValueError, match="`backend` must be one of"):
        LocalComputer("abacus").gram(_SPEC, x_s)
