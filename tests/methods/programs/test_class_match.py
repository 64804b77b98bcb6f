import dataclasses

import numpy as np
import pytest

from stillhouse.data.siamese import SiameseAugmentation
from stillhouse.methods.programs import (
    ArrayType,
    Context,
    DistributionMatch,
    GradientMatch,
    program_from_json,
    program_to_json,
)
from stillhouse.methods.tasks import Task, check_results, run_task
from stillhouse.networks import NetworkSpec, build_network

MLP = NetworkSpec("mlp", width=6, depth=1)
RNG = np.random.default_rng(0)
SHARED = tuple(RNG.standard_normal((n, 4, 4, 1)).astype(np.float32) for n in (6, 12))
SEEDS = (np.array([3, 4], np.int64),)
CLASSES = (0, 2, 3)


def program(kind, **options):
    settings = {"augmentation": SiameseAugmentation(("crop", "color")), **options}
    return kind(MLP, 5, CLASSES, **settings)


@pytest.mark.parametrize("kind", [DistributionMatch, GradientMatch])
def test_classes_are_compared_each_for_itself(kind):
    """So a task may be halved, or a step be cut into other tasks, and gives the same bits."""
    task = Task(program(kind), SHARED, SEEDS)
    results = run_task(Context(), task)
    check_results(task.results, results)
    distances, gradient = results
    assert (distances > 0).all() and np.abs(gradient).max(axis=(1, 2, 3)).all()
    halves = task.program.halves(SHARED, SEEDS)
    assert [part[0].classes for part in halves.parts] == [(0, 2), (3,)]
    joined = halves.join([run_task(Context(), Task(*part)) for part in halves.parts])
    assert all(np.array_equal(a, b) for a, b in zip(joined, results, strict=True))
    single = dataclasses.replace(task.program, classes=(3,))
    assert single.halves(tuple(x[-4:] for x in SHARED), SEEDS) is None


@pytest.mark.parametrize("kind", [DistributionMatch, GradientMatch])
def test_weights_that_are_given_take_the_place_of_random_ones(kind):
    network = build_network(MLP, (4, 4, 1), 5)
    shared = (*SHARED, network.pack(*network.init(3)))
    other_seed = (np.array([9, 4], np.int64),)
    given = run_task(Context(), Task(program(kind), shared, other_seed))
    drawn = run_task(Context(), Task(program(kind), SHARED, SEEDS))
    assert all(np.array_equal(a, b) for a, b in zip(given, drawn, strict=True))
    another = run_task(Context(), Task(program(kind), SHARED, other_seed))
    assert not np.array_equal(another[0], drawn[0])


def test_their_work_is_counted_in_passes():
    assert Task(program(DistributionMatch), SHARED, SEEDS).work == 6 + 4
    assert Task(program(GradientMatch), SHARED, SEEDS).work == 18 + 12


@pytest.mark.parametrize("kind", [DistributionMatch, GradientMatch])
def test_they_turn_to_json_and_back(kind):
    for augmentation in (None, SiameseAugmentation()):
        one = program(kind, augmentation=augmentation)
        assert program_from_json(program_to_json(one)) == one
    said = str(Task(program(kind), SHARED, SEEDS))
    assert "6 images with 12 real ones in a mlp of width 6" in said


@pytest.mark.parametrize(
    ("shared", "own", "says"),
    [
        (SHARED[:1], SEEDS, "does not take 1 sets"),
        ((SHARED[0][:5], SHARED[1]), SEEDS, "as many images of each, got 5"),
        ((*SHARED, ArrayType((7,))), SEEDS, r"weights must be float32 \[\d+\], got float32 \[7\]"),
        (SHARED, (np.array([1], np.int64),), "two seeds"),
    ],
)
def test_arrays_that_do_not_belong_are_refused(shared, own, says):
    with pytest.raises(ValueError, match=says):
        program(GradientMatch).check(shared, own)
    with pytest.raises(ValueError, match="`classes` must name one"):
        GradientMatch(MLP, 5, ())
