import dataclasses

import numpy as np
import pytest
from scipy import stats

from stillhouse.methods.programs import (
    Context,
    InfluenceFunction,
    LeaveOneOut,
    SetTraining,
    program_from_json,
    program_to_json,
)
from stillhouse.methods.tasks import Task, check_results, run_task
from stillhouse.networks.curvature import LossSurface

ROWS = np.array([0, 4, 8], np.int64)
SEED = np.array([4], np.int64)


@pytest.fixture
def program(spots):
    training = SetTraining(spots.network, 3, steps=150, learning_rate=0.1, momentum=0.9)
    return InfluenceFunction(training, 0.01, 100, spots.transform.kind, spots.names)


def test_it_ranks_test_images_as_training_again_does(program, spots):
    task = Task(program, spots.shared, (SEED, ROWS))
    results = run_task(Context(), task)
    check_results(task.results, results)
    changes, solved = results
    again = LeaveOneOut(program.training, program.transform, program.transform_arrays)

    def losses(row):
        own = (np.array([4, row], np.int64),)
        return run_task(Context(), Task(again, spots.shared, own))[0]

    whole = losses(-1)
    ranks = [
        stats.spearmanr(change, losses(row) - whole).statistic
        for row, change in zip(ROWS, changes, strict=True)
    ]
    assert np.mean(ranks) > 0.5
    assert (solved[:, 0] >= 0.01).all() and (solved[:, 1] < 0.01).all()


def test_it_is_the_formula_with_the_whole_hessian(program, spots):
    changes, solved = run_task(Context(), Task(program, spots.shared, (SEED, ROWS[:1])))
    seen = spots.transform.apply(spots.images)
    weights = program.training.weights(seen, spots.classes, 4)
    one_hot = np.eye(3, dtype=np.float32)

    def surface(x, classes):
        return LossSurface(spots.network, weights, x, one_hot[classes])

    whole = surface(seen, spots.classes)
    hessian = np.stack([whole.product(v) for v in np.eye(whole.size)])
    damped = hessian + solved[0, 0] * np.eye(whole.size)
    moved = np.linalg.solve(damped, surface(seen[:1], spots.classes[:1]).gradient()) / 9
    asked = spots.transform.apply(spots.asked[:4])
    expected = [
        surface(asked[i : i + 1], spots.answers[i : i + 1]).gradient() @ moved for i in range(4)
    ]
    np.testing.assert_allclose(changes[0, :4], expected, rtol=0.02, atol=1e-4)


def test_it_is_data_and_says_what_it_costs(program, spots):
    assert program_from_json(program_to_json(program)) == program
    task = Task(program, spots.shared, (SEED, ROWS))
    assert task.work == 150 * 9 + 3 * (100 * 3 * 9 + 30)
    assert str(task).startswith("influence functions of 3 of 9 images")


def test_what_does_not_belong_is_refused(program, spots):
    with pytest.raises(ValueError, match="a seed int64 .1. and rows"):
        program.check(spots.shared, (SEED,))
    with pytest.raises(ValueError, match="`damping` must be positive"):
        dataclasses.replace(program, damping=0.0)
