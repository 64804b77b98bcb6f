import numpy as np
import pytest

from stillhouse.methods.programs import (
    Context,
    UnrolledGradient,
    program_from_json,
    program_to_json,
)
from stillhouse.methods.tasks import Task, check_results, run_task
from stillhouse.networks import NetworkSpec, build_network

SPEC = NetworkSpec("mlp", width=4, depth=1)
OWN = (np.array([5, 4], np.int64),)


@pytest.fixture
def shared():
    rng = np.random.default_rng(0)
    x, x_t = (rng.standard_normal((n, 2, 2, 1), np.float32) for n in (6, 7))
    y, y_t = (np.eye(3, dtype=np.float32)[np.arange(n) % 3] for n in (6, 7))
    sizes = np.full(4, 0.1, np.float32)
    order = np.arange(6, dtype=np.int64).reshape(2, 3)
    return x, y, sizes, order, x_t, y_t, np.full(7, 1 / 7, np.float32)


def test_its_results_are_of_the_types_that_it_says(shared):
    task = Task(UnrolledGradient(SPEC), shared, OWN)
    results = run_task(Context(), task)
    check_results(task.results, results)
    assert results[1].any() and results[3].all()
    again = run_task(Context(), Task(program_from_json(program_to_json(task.program)), shared, OWN))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(results, again, strict=True))
    # Three passes for each of three images of four steps, one for each target.
    assert task.work == 3 * 3 * 4 + 7
    assert str(task) == "gradient of a mlp of width 4, depth 1 through 4 steps"


def test_given_weights_are_begun_with(shared):
    network = build_network(SPEC, (2, 2, 1), 3)
    weights = network.pack(*network.init(5))
    drawn = run_task(Context(), Task(UnrolledGradient(SPEC), shared, OWN))
    given = run_task(
        Context(), Task(UnrolledGradient(SPEC, from_weights=True), (*shared, weights), OWN)
    )
    assert all(a.tobytes() == b.tobytes() for a, b in zip(drawn, given, strict=True))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({0: np.zeros((6, 2, 3, 1), np.float32)}, "images of one size"),
        ({1: np.zeros((5, 3), np.float32)}, "a label for each image"),
        ({2: np.zeros(3, np.float32)}, "3 step sizes for epochs of 2 steps"),
        ({3: np.zeros((2, 3), np.int32)}, "rows of each step"),
        ({6: np.zeros(7)}, "takes float32"),
    ],
)
def test_arrays_that_do_not_belong_there_are_refused(shared, change, says):
    arrays = tuple(change.get(i, array) for i, array in enumerate(shared))
    with pytest.raises(ValueError, match=says):
        Task(UnrolledGradient(SPEC), arrays, OWN)


def test_an_end_beyond_the_steps_is_refused(shared):
    task = Task(UnrolledGradient(SPEC), shared, (np.array([0, 5], np.int64),))
    with pytest.raises(ValueError, match="end 5"):
        run_task(Context(), task)
