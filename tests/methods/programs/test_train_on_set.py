import numpy as np
import pytest

from stillhouse.data.siamese import SiameseAugmentation
from stillhouse.methods.programs import (
    ArrayType,
    Context,
    TrainOnSet,
    program_from_json,
    program_to_json,
)
from stillhouse.methods.tasks import Task, check_results, run_task
from stillhouse.networks import NetworkSpec, build_network

MLP = NetworkSpec("mlp", width=6, depth=1)
RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((6, 4, 4, 1)).astype(np.float32)
LABELS = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2, 2]] - np.float32(1 / 3)
SEEDS = (np.array([3, 4], np.int64),)


def weights(program, *given):
    task = Task(program, (IMAGES, LABELS, *given), SEEDS)
    results = run_task(Context(), task)
    check_results(task.results, results)
    return results[0]


def test_steps_that_are_taken_in_two_tasks_are_those_of_one():
    two, four = (TrainOnSet(MLP, steps, 0.1, 256) for steps in (2, 4))
    np.testing.assert_array_equal(weights(two, weights(two)), weights(four))


def test_the_network_learns_the_images():
    network = build_network(MLP, (4, 4, 1), 3)
    params, state = network.unpack(weights(TrainOnSet(MLP, 200, 0.1, 4)))
    outputs, _ = network.apply(params, state, IMAGES, training=False)
    assert (np.asarray(outputs).argmax(axis=1) == LABELS.argmax(axis=1)).all()


def test_augmentation_changes_what_it_learns():
    plain, changed = (
        weights(TrainOnSet(MLP, 2, 0.1, 256, augmentation))
        for augmentation in (None, SiameseAugmentation(("crop",)))
    )
    assert not np.array_equal(plain, changed)


def test_it_is_data_and_says_what_it_costs():
    program = TrainOnSet(MLP, 7, 0.1, 4, SiameseAugmentation())
    assert program_from_json(program_to_json(program)) == program
    task = Task(program, (IMAGES, LABELS), SEEDS)
    assert task.work == 28
    assert str(task) == "7 steps of a mlp of width 6, depth 1 on 6 images"


@pytest.mark.parametrize(
    ("shared", "own", "says"),
    [
        ((IMAGES,), SEEDS, "got 1 arrays"),
        ((IMAGES, LABELS[:5]), SEEDS, "belong together"),
        ((IMAGES, LABELS, ArrayType((4,))), SEEDS, "weights must be float32"),
        ((IMAGES, LABELS), (), "two seeds"),
    ],
)
def test_arrays_that_do_not_belong_are_refused(shared, own, says):
    with pytest.raises(ValueError, match=says):
        TrainOnSet(MLP, 7, 0.1, 4).check(shared, own)
    with pytest.raises(ValueError, match="`steps` must be positive"):
        TrainOnSet(MLP, 0, 0.1, 4)
