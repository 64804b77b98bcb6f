import numpy as np
import pytest

from stillhouse.kernels.architecture import fc
from stillhouse.kernels.kernel import kernel
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.kernel_regression.tiled import TiledComputer
from stillhouse.methods.programs import Context, KernelBlock, KernelGram
from stillhouse.methods.tasks import check_results, run_task

_SPEC = KernelSpec(fc(1))


def random(*shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# More than one tile of every kind.
_S, _T = 300, 600
_X_S, _X_T = random(_S, 3, 3, 1, seed=0), random(_T, 3, 3, 1, seed=1)
_G_SS, _G_TS = random(_S, _S, seed=2), random(_T, _S, seed=3)


class Elsewhere:
    """Computes all tasks before it hands out the first result, last task first."""

    def __init__(self):
        self.tasks = []
        self._context = Context()

    def results(self, tasks):
        self.tasks += tasks
        done = [run_task(self._context, task) for task in reversed(tasks)]
        for task, results in zip(tasks, reversed(done), strict=True):
            check_results(task.results, results)
            yield results


@pytest.fixture
def runner():
    return Elsewhere()


def test_the_matrices_are_put_together_from_tiles(runner):
    computer = TiledComputer(runner)
    K_ss, K_ts = computer.forward(_SPEC, _X_S, _X_T)
    assert {task.program for task in runner.tasks} == {KernelGram(_SPEC), KernelBlock(_SPEC)}
    assert len(runner.tasks) > 4
    whole = kernel(_SPEC)
    np.testing.assert_allclose(K_ss, whole.gram(_X_S), rtol=1e-6, atol=1e-6 * K_ss.max())
    np.testing.assert_allclose(K_ts, whole.block(_X_T, _X_S), rtol=1e-6, atol=1e-6 * K_ts.max())
    np.testing.assert_array_equal(K_ss, K_ss.T)
    assert computer.elements == _S * (_S + 1) // 2 + _S * _T


def test_the_parts_of_a_gradient_are_added(runner):
    computer = TiledComputer(runner)
    total = computer.backward(_SPEC, _X_S, _X_T, _G_SS, _G_TS)
    whole = kernel(_SPEC)
    expected = whole.gram_vjp(_X_S, _G_SS) + whole.vjp(_X_T, _X_S, _G_TS, wrt=(1,))[0]
    np.testing.assert_allclose(total, expected, atol=2e-5 * np.abs(expected).max())
    assert sum(task.work for task in runner.tasks) == computer.elements


def test_forward_is_gram_and_cross(runner):
    computer = TiledComputer(runner)
    K_ss, K_ts = computer.forward(_SPEC, _X_S, _X_T)
    np.testing.assert_array_equal(K_ss, computer.gram(_SPEC, _X_S))
    np.testing.assert_array_equal(K_ts, computer.cross(_SPEC, _X_T, _X_S))


def test_what_is_wrong_is_said_before_a_task_is_made(runner):
    computer = TiledComputer(runner)
    with pytest.raises(ValueError, match=r"`g_ts` must be \[600, 300\]"):
        computer.backward(_SPEC, _X_S, _X_T, _G_SS, _G_TS.T)
    with pytest.raises(ValueError, match="of one height, width and channels"):
        computer.forward(_SPEC, _X_S, _X_T[:, :2])
    assert not runner.tasks
