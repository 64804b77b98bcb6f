import numpy as np
import pytest

from stillhouse.kernels.architecture import convnet
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.programs import (
    ArrayType,
    Context,
    RandomFeatures,
    RandomFeaturesVjp,
    program_from_json,
    program_to_json,
)
from stillhouse.methods.tasks import Task, check_results, run_task

SPEC = KernelSpec(convnet(1), "nngp")
RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((5, 4, 4, 1)).astype(np.float32)
SEED = np.array([7], np.int64)
FORWARD, BACKWARD = RandomFeatures(SPEC, 3), RandomFeaturesVjp(SPEC, 3)
G = RNG.standard_normal((5, 12)).astype(np.float32)


@pytest.mark.parametrize("program", [FORWARD, BACKWARD], ids=lambda program: program.name)
def test_a_program_turns_to_json_and_back(program):
    assert program_from_json(program_to_json(program)) == program


@pytest.mark.parametrize(
    "task",
    [
        Task(FORWARD, (IMAGES,), (SEED,)),
        Task(FORWARD, (IMAGES, IMAGES[:2]), (SEED,)),
        Task(BACKWARD, (IMAGES,), (SEED, G)),
    ],
    ids=str,
)
def test_halves_come_to_the_same_and_results_are_what_is_said(task):
    whole = run_task(Context(), task)
    check_results(task.results, whole)
    halves = task.program.halves(task.shared, task.own)
    joined = halves.join([run_task(Context(), Task(*part)) for part in halves.parts])
    for one, other in zip(whole, joined, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert RandomFeatures(SPEC, 3).halves((IMAGES[:1],), (SEED,)) is None
    assert RandomFeaturesVjp(SPEC, 3).halves((IMAGES[:1],), (SEED, G[:1])) is None


def test_work_is_counted_in_passes():
    assert Task(FORWARD, (IMAGES, IMAGES[:2]), (SEED,)).work == 3
    assert Task(BACKWARD, (IMAGES,), (SEED, G)).work == 5
    assert FORWARD.results((IMAGES,), (SEED,)) == (ArrayType((5, 12)),)


@pytest.mark.parametrize(
    ("program", "shared", "own", "message"),
    [
        (FORWARD, (), (SEED,), "does not take 0 sets of images"),
        (FORWARD, (IMAGES[0],), (SEED,), "images must be float32"),
        (FORWARD, (IMAGES,), (), "take the seed of the network as their own"),
        (BACKWARD, (IMAGES, IMAGES), (SEED, G), "does not take 2 sets of images"),
        (BACKWARD, (IMAGES,), (SEED, G[:, 1:]), r"a cotangent float32 \[5, 12\]"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(program, shared, own, message):
    with pytest.raises(ValueError, match=message):
        Task(program, shared, own)
