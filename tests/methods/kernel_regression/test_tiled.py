import numpy as np
import pytest

from stillhouse.data.pixel_images import PixelImages, seen_through
from stillhouse.data.transforms import fit_transform
from stillhouse.kernels.architecture import fc
from stillhouse.kernels.kernel import kernel
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.kernel_regression.tiled import TiledComputer
from stillhouse.methods.programs import Context, KernelBlock, KernelGram
from stillhouse.methods.tasks import check_results, run_task
from stillhouse.workers.local import LocalRunner

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


def test_pixels_give_the_bits_of_their_images(runner):
    pixels = np.random.default_rng(5).integers(0, 256, (_T, 3, 3, 1), np.uint8)
    x_t = seen_through(fit_transform("standardise", pixels), pixels)
    assert isinstance(x_t, PixelImages)

    def found(images):
        computer = TiledComputer(LocalRunner(Context()))
        matrices = computer.forward(_SPEC, _X_S, images)
        return *matrices, computer.backward(_SPEC, _X_S, images, _G_SS, _G_TS)

    expected = found(np.asarray(x_t))
    for one, other in zip(found(x_t), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    # And by workers, of whom each task is sent a slice of the pixels.
    by_others = TiledComputer(runner).forward(_SPEC, _X_S, x_t)
    for one, other in zip(by_others, expected, strict=False):
        np.testing.assert_array_equal(one, other)


def test_tiles_of_a_size_that_was_asked_for_give_the_same_numbers(runner):
    usual, asked = TiledComputer(Elsewhere()), TiledComputer(runner, 20_000)
    one, other = (c.backward(_SPEC, _X_S, _X_T, _G_SS, _G_TS) for c in (usual, asked))
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6 * np.abs(one).max())
    assert max(task.work for task in runner.tasks) < 30_000
    assert asked.elements == usual.elements


def test_what_is_wrong_is_said_before_a_task_is_made(runner):
    computer = TiledComputer(runner)
    with pytest.raises(ValueError, match=r"`g_ts` must be \[600, 300\]"):
        computer.backward(_SPEC, _X_S, _X_T, _G_SS, _G_TS.T)
    with pytest.raises(ValueError, match="of one height, width and channels"):
        computer.forward(_SPEC, _X_S, _X_T[:, :2])
    assert not runner.tasks
