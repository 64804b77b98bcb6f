import dataclasses

import numpy as np
import pytest

from stillhouse.data.sources import load_dataset
from stillhouse.data.transforms import fit_transform
from stillhouse.methods.programs import (
    ArrayType,
    Context,
    TrainNetwork,
    program_from_json,
    program_to_json,
)
from stillhouse.methods.tasks import Task, check_results, run_task
from stillhouse.networks import NetworkSpec
from stillhouse.networks.objective import Objective
from stillhouse.networks.training_spec import TrainingSpec

SEED = (np.array([3], np.int64),)


@pytest.fixture(scope="module")
def shared():
    dataset = load_dataset("digits")
    arrays = fit_transform("standardise", dataset.x_train).to_arrays()
    images = (dataset.x_train, dataset.y_train, dataset.x_test, dataset.y_test)
    return (*images, *arrays.values())


@pytest.fixture
def program():
    training = TrainingSpec(Objective(optimiser="adam"), 0.005, batch_size=100, epochs=2, every=7)
    spec = NetworkSpec("mlp", width=16, depth=1)
    return TrainNetwork(spec, training, 10, "standardise", ("mean", "std"), 1437)


def test_its_results_are_what_it_said(program, shared):
    task = Task(program, shared, SEED)
    results = run_task(Context(), task)
    check_results(task.results, results)
    weights, (tested, trained, loss), along = results
    assert weights.shape == (64 * 16 + 16 + 160 + 10,) and len(along) == 6
    assert tested > 0.25 and 0 < trained <= 1 and loss > 0
    again = run_task(Context(), task)
    assert all(np.array_equal(a, b) for a, b in zip(results, again, strict=True))


def test_its_work_counts_a_pass_for_each_image_of_a_step(program, shared):
    assert Task(program, shared, SEED).work == 29 * 100 + 120
    assert program.unit == "passes"


def test_it_turns_to_json_and_back_and_cannot_be_halved(program, shared):
    assert program_from_json(program_to_json(program)) == program
    assert program.halves(shared, SEED) is None
    assert "mlp of width 16, depth 1 on 1,437 images" in str(Task(program, shared, SEED))


def test_arrays_that_do_not_belong_are_refused(program, shared):
    types = [ArrayType(x.shape, x.dtype) for x in shared]
    own = [ArrayType((1,), np.dtype(np.int64))]
    program.check(types, own)

    def with_type(index, *change):
        return [ArrayType(*change) if i == index else x for i, x in enumerate(types)]

    for changed, seed, says in [
        (types[:-1], own, "takes 6 shared arrays, got 5"),
        (with_type(0, (1437, 8, 8), np.float32), own, "images must be uint8 or float32"),
        (with_type(1, (1437,), np.float32), own, "classes must be int64"),
        (with_type(2, (360, 9, 8, 1), np.float32), own, "one size"),
        (types, [], "its seed as its own"),
    ]:
        with pytest.raises(ValueError, match=says):
            program.check(changed, seed)
    with pytest.raises(ValueError, match="`train_images` must be 1 to 1437, got 2000"):
        dataclasses.replace(program, train_images=2000).check(types, own)
    with pytest.raises(ValueError, match="1437 training images where `train_images` says 5"):
        dataclasses.replace(program, train_images=5).compute(Context(), shared, SEED)
