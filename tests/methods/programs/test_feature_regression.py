import dataclasses

import numpy as np
import pytest

from stillhouse.methods.programs import (
    ArrayType,
    Context,
    FeatureRegression,
    program_from_json,
    program_to_json,
)
from stillhouse.methods.tasks import Task, check_results, run_task
from stillhouse.networks import NetworkSpec

SPEC = NetworkSpec("convnet", width=4, depth=1, prepend=False)
PROGRAM = FeatureRegression(SPEC, 1e-3, 0.01)
RNG = np.random.default_rng(0)
LABELS = np.eye(3, dtype=np.float32)[np.arange(15) % 3] - np.float32(1 / 3)
IMAGES = RNG.standard_normal((15, 4, 4, 1)).astype(np.float32)
SHARED = (IMAGES[:6], LABELS[:6], IMAGES[6:], LABELS[6:])


def own(seed=7, age=0):
    return (np.array([seed, age], np.int64),)


@pytest.fixture(scope="module")
def first():
    return run_task(Context(), Task(PROGRAM, SHARED, own()))


def test_its_results_are_what_it_said_and_a_function_of_its_arrays(first):
    task = Task(PROGRAM, SHARED, own())
    check_results(task.results, first)
    again = run_task(Context(), task)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    other = run_task(Context(), Task(PROGRAM, SHARED, own(seed=8)))
    assert not np.array_equal(other[1], first[1])


def test_the_network_goes_on_where_it_was(first):
    """Adam's first step is as long as the rate in each weight; its later ones remember it."""
    *_, network = first
    second = run_task(Context(), Task(PROGRAM, (*SHARED, network), own(age=1)))[3]
    new = dataclasses.replace(PROGRAM, learning_rate=1e-9)
    start = run_task(Context(), Task(new, SHARED, own()))[3][0]
    moved = np.abs(network[0] - start)[network[1] != 0]
    np.testing.assert_allclose(moved, 0.01, rtol=2e-2)
    forgetful = np.stack([network[0], 0 * start, 0 * start])
    fresh = run_task(Context(), Task(PROGRAM, (*SHARED, forgetful), own()))[3]
    assert np.abs(second[0] - fresh[0]).max() > 1e-4


def test_the_first_regression_is_that_of_the_network_before_its_step(first):
    still = dataclasses.replace(PROGRAM, learning_rate=1.0)
    again = run_task(Context(), Task(still, SHARED, own()))
    assert all(np.array_equal(a, b) for a, b in zip(first[:3], again[:3], strict=True))
    assert not np.array_equal(first[3], again[3])


def test_it_is_data_and_says_what_it_costs():
    assert program_from_json(program_to_json(PROGRAM)) == PROGRAM
    # Nine targets and six images forward, six back, and six in the network's step.
    assert Task(PROGRAM, SHARED, own()).work == (9 + 6) // 3 + 6 + 6
    mirrored = dataclasses.replace(PROGRAM, mirror=True)
    assert Task(mirrored, SHARED, own()).work == (9 + 12) // 3 + 12 + 6
    assert PROGRAM.halves(SHARED, own()) is None
    assert str(Task(PROGRAM, SHARED, own())).endswith("6 images with 9 targets")


@pytest.mark.parametrize(
    ("shared", "own", "message"),
    [
        (SHARED[:3], own(), "perhaps a network, got 3 arrays"),
        ((IMAGES[:5], *SHARED[1:]), own(), "belong together"),
        ((*SHARED[:2], IMAGES[6:, 1:], SHARED[3]), own(), "images of one size"),
        ((*SHARED[:3], SHARED[3].astype(np.float64)), own(), "takes float32"),
        ((*SHARED, ArrayType((3, 5))), own(), r"must be float32 \[3, \d+\], got \[3, 5\]"),
        (SHARED, (), "a seed and an age"),
    ],
)
def test_arrays_that_do_not_belong_are_refused(shared, own, message):
    with pytest.raises(ValueError, match=message):
        PROGRAM.check(shared, own)


def test_numbers_out_of_range_are_named():
    with pytest.raises(ValueError, match="`regularisation` must not be negative"):
        FeatureRegression(SPEC, -1.0, 0.1)
    with pytest.raises(ValueError, match="`learning_rate` must be positive"):
        FeatureRegression(SPEC, 0.0, 0.0)


def test_a_regression_that_is_not_finite_is_named():
    huge = (np.float32(1e38) * IMAGES[:6], *SHARED[1:])
    with pytest.raises(FloatingPointError, match="a larger `regularisation`"):
        run_task(Context(), Task(PROGRAM, huge, own()))
