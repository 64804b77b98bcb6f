import dataclasses

import numpy as np
import pytest

from stillhouse.data.siamese import SiameseAugmentation
from stillhouse.methods.programs import (
    ArrayType,
    Context,
    TrajectoryMatch,
    program_from_json,
    program_to_json,
)
from stillhouse.methods.tasks import Task, check_results, run_task
from stillhouse.networks import NetworkSpec, build_network

MLP = NetworkSpec("mlp", width=6, depth=1)
RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((6, 4, 4, 1)).astype(np.float32)
LABELS = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2, 2]] - np.float32(1 / 3)
OWN = (np.array([0.1], np.float32), np.array([4], np.int64))
PROGRAM = TrajectoryMatch(MLP, 3, 4, SiameseAugmentation(("crop",)))


@pytest.fixture(scope="module")
def shared():
    network = build_network(MLP, (4, 4, 1), 3)
    return (IMAGES, LABELS, *(network.pack(*network.init(seed)) for seed in (0, 1)))


def test_its_results_are_what_it_said_and_a_function_of_its_arrays(shared):
    task = Task(PROGRAM, shared, OWN)
    results, again = (run_task(Context(), task) for _ in range(2))
    check_results(task.results, results)
    assert all(np.array_equal(a, b) for a, b in zip(results, again, strict=True))
    other = run_task(Context(), Task(PROGRAM, shared, (OWN[0], np.array([5], np.int64))))
    assert not np.array_equal(other[1], results[1])


def test_going_against_the_gradient_brings_the_student_nearer(shared):
    program = dataclasses.replace(PROGRAM, augmentation=None, batch_size=None)
    (before,), gradient, by_rate = run_task(Context(), Task(program, shared, OWN))
    moved = (IMAGES - 0.5 * gradient / np.abs(gradient).max(), *shared[1:])
    (after,), *_ = run_task(Context(), Task(program, moved, OWN))
    assert after < before
    slower = (OWN[0] - np.float32(1e-2 * np.sign(by_rate[0])), OWN[1])
    (after,), *_ = run_task(Context(), Task(program, shared, slower))
    assert after < before


def test_it_is_data_and_says_what_it_costs(shared):
    assert program_from_json(program_to_json(PROGRAM)) == PROGRAM
    assert Task(PROGRAM, shared, OWN).work == 4 * 3 * 4
    assert PROGRAM.halves(shared, OWN) is None
    assert str(Task(PROGRAM, shared, OWN)).startswith("3 steps of a student mlp of width 6")


def test_arrays_that_do_not_belong_are_refused(shared):
    with pytest.raises(ValueError, match="four shared arrays, got 3"):
        PROGRAM.check(shared[:3], OWN)
    with pytest.raises(ValueError, match=r"weights must be float32 \[\d+\], got float32 \[2\]"):
        PROGRAM.check((*shared[:3], ArrayType((2,))), OWN)
    with pytest.raises(ValueError, match="a learning rate, float32"):
        PROGRAM.check(shared, OWN[:1])
    with pytest.raises(ValueError, match="belong together"):
        PROGRAM.check((IMAGES, LABELS[:2], *shared[2:]), OWN)
    with pytest.raises(ValueError, match="`steps` must be positive"):
        TrajectoryMatch(MLP, 0)
