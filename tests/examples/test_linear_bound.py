"""How many points a step of linear regression needs, by the example that says so."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "linear_bound.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("linear_bound", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_orthonormal_points_are_exact_from_anywhere(example):
    problem = example.regression()
    points, labels = example.exact_set(problem)
    for seed in range(3):
        begun = np.random.default_rng(seed).standard_normal(example.FEATURES)
        after = begun - points.T @ (points @ begun - labels)
        np.testing.assert_allclose(after, problem.optimum, atol=1e-12)
    assert problem.excess(points, labels) < 1e-25


def test_fewer_points_leave_what_the_bound_says(example):
    problem = example.regression()
    for size in (2, 5, 7):
        excess = problem.excess(*problem.best_set(size))
        assert problem.bound(size) <= excess < 1.3 * problem.bound(size)
    assert problem.excess(*problem.best_set(example.FEATURES)) < 1e-15


@pytest.mark.parametrize("subspace", [0, 2, 4])
def test_from_a_subspace_one_point_more_than_its_dimension_is_enough(example, subspace):
    problem = example.regression(subspace)
    assert problem.excess(*problem.best_set(subspace + 1)) < 1e-15
    if subspace:
        assert problem.excess(*problem.best_set(subspace)) > 1e-3


def test_the_derivatives_are_those_of_differences(example):
    problem, rng = example.regression(4), np.random.default_rng(0)
    points, labels = rng.standard_normal((3, example.FEATURES)), rng.standard_normal(3)
    _, by_points, by_labels = problem._excess(points, labels)
    for array, derivative in ((points, by_points), (labels, by_labels)):
        direction = rng.standard_normal(array.shape)
        ahead, behind = (array + h * direction for h in (1e-6, -1e-6))
        if array is points:
            slope = problem.excess(ahead, labels) - problem.excess(behind, labels)
        else:
            slope = problem.excess(points, ahead) - problem.excess(points, behind)
        assert slope / 2e-6 == pytest.approx(np.vdot(derivative, direction), rel=1e-6)


def test_it_draws_what_it_says(example, tmp_path):
    found = {subspace: [10.0**-size for size in range(1, 9)] for subspace in example.SUBSPACES}
    example.draw(found, str(tmp_path / "bound.png"))
    assert (tmp_path / "bound.png").read_bytes().startswith(b"\x89PNG")
