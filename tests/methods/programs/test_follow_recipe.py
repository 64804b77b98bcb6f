import numpy as np
import pytest

from stillhouse.data.recipes import StepsRecipe, TrainingRecipe
from stillhouse.data.transforms import fit_transform
from stillhouse.methods.following import recipe_accuracies
from stillhouse.methods.programs import (
    Context,
    FollowRecipe,
    program_from_json,
    program_to_json,
)
from stillhouse.methods.tasks import Task, check_results, run_task

RNG = np.random.default_rng(0)
TESTS = RNG.integers(0, 255, (30, 4, 4, 1)).astype(np.uint8), np.arange(30) % 3
IMAGES = RNG.standard_normal((6, 4, 4, 1)).astype(np.float32)
LABELS = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2, 2]]
NETWORK = {"family": "mlp", "width": 6, "depth": 1}
RECIPE = TrainingRecipe(NETWORK, learning_rate=0.1, steps=5, augmentation={"kinds": ["flip"]})


@pytest.fixture
def task():
    transform = fit_transform("standardise", TESTS[0])
    program, arrays = FollowRecipe.of(RECIPE, transform)
    shared = (IMAGES, LABELS, TESTS[0], TESTS[1].astype(np.int64), *arrays.values())
    return Task(program, shared, (np.array([7], np.int64),))


def test_it_is_the_accuracy_of_the_network_with_its_seed(task):
    results = run_task(Context(), task)
    check_results(task.results, results)
    apply = fit_transform("standardise", TESTS[0]).apply
    expected = recipe_accuracies(RECIPE, IMAGES, LABELS, *TESTS, prepare=apply, networks=1, seed=7)
    assert results[0].tolist() == expected


def test_it_is_data_and_says_what_it_costs(task):
    assert program_from_json(program_to_json(task.program)) == task.program
    assert task.work == 5 * 6 + 10
    assert "on 6 distilled images" in str(task)


def test_what_does_not_belong_is_refused(task):
    program = task.program
    with pytest.raises(ValueError, match="takes 6 shared arrays, got 5"):
        program.check(task.shared[:-1], task.own)
    with pytest.raises(ValueError, match="a seed"):
        program.check(task.shared, ())
    with pytest.raises(ValueError, match="belong together"):
        program.check((IMAGES, LABELS[:5], *task.shared[2:]), task.own)
    with pytest.raises(ValueError, match="of kind steps"):
        FollowRecipe.of(StepsRecipe(NETWORK, "any", (0.1,)), fit_transform("none", TESTS[0]))
