import numpy as np
import pytest

from stillhouse.data.transforms import fit_transform
from stillhouse.methods.programs import (
    Context,
    TrainAndPredict,
    program_from_json,
    program_to_json,
)
from stillhouse.methods.tasks import Task, check_results, run_task
from stillhouse.networks import NetworkSpec
from stillhouse.networks.descent import descend, predicted, programs_for
from stillhouse.networks.objective import Objective

RNG = np.random.default_rng(0)
REAL, CLASSES = RNG.integers(0, 255, (20, 4, 4, 1)).astype(np.uint8), np.arange(20) % 3
ASKED = RNG.integers(0, 255, (15, 4, 4, 1)).astype(np.uint8)
IMAGES = RNG.normal(120, 90, (6, 4, 4, 1)).astype(np.float32)
NETWORK = NetworkSpec("mlp", width=6, depth=1)
TRANSFORM = fit_transform("standardise", REAL)
ARRAYS = TRANSFORM.to_arrays()
PROGRAM = TrainAndPredict(NETWORK, 3, 4, 0.1, 0.9, 100, "standardise", tuple(ARRAYS))


def task(images=IMAGES, rows=(1, 5, 7), program=PROGRAM):
    classes = np.arange(len(images)) % 3
    shared = (images, classes, REAL, CLASSES, ASKED, *ARRAYS.values())
    return Task(program, shared, (np.array([7], np.int64), np.array(rows, np.int64)))


def test_it_trains_on_the_set_and_the_chosen_real_images():
    one = task()
    results = run_task(Context(), one)
    check_results(one.results, results)
    x = TRANSFORM.apply(np.concatenate([IMAGES, REAL[[1, 5, 7]].astype(np.float32)]))
    y = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2, *CLASSES[[1, 5, 7]]]]
    programs = programs_for(NETWORK, Objective("xent", 0.0, "sgd", 0.9), (4, 4, 1), 3)
    start, batches = programs.network.init(7), iter([(x, y)] * 4)
    *_, (params, state, _) = descend(programs, *start, [0.1] * 4, batches)
    expected = predicted(programs, params, state, TRANSFORM.apply(ASKED))
    np.testing.assert_array_equal(results[0], expected)


def test_either_may_be_left_out_and_batches_are_of_one_size():
    for one in (task(rows=()), task(images=IMAGES[:0])):
        check_results(one.results, run_task(Context(), one))
    assert task().work == 4 * 9 + 5
    assert "6 images of a set and 3 real ones" in str(task())
    assert program_from_json(program_to_json(PROGRAM)) == PROGRAM


def test_what_does_not_belong_is_refused():
    with pytest.raises(ValueError, match="no image to train on"):
        task(images=IMAGES[:0], rows=())
    shared, own = task().shared, task().own
    with pytest.raises(ValueError, match="takes 7 shared arrays, got 6"):
        PROGRAM.check(shared[:-1], own)
    with pytest.raises(ValueError, match="belong together"):
        PROGRAM.check((shared[0], shared[1][:5], *shared[2:]), own)
    with pytest.raises(ValueError, match="of one size"):
        PROGRAM.check((*shared[:4], ASKED[:, :3], *shared[5:]), own)
    with pytest.raises(ValueError, match=r"a seed int64 \[1\]"):
        PROGRAM.check(shared, own[:1])
