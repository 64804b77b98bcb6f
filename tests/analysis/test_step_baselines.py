import dataclasses

import numpy as np
import pytest

from stillhouse.analysis.baselines import baseline_set
from stillhouse.analysis.step_baselines import Baseline, StepBaselines, StepsPlan
from stillhouse.methods.keep_best import hold_out
from stillhouse.networks import NetworkSpec

PLAN = StepsPlan(
    NetworkSpec("mlp", width=32, depth=1), 2, 3, 1, rates=(0.01, 0.1), draws=2, candidates=3
)


def of(digits, plan=PLAN, **changed):
    return StepBaselines(plan, dataclasses.replace(digits.dataset, **changed), digits.transform)


@pytest.mark.parametrize("way", [StepBaselines.by_steps, StepBaselines.by_neighbours])
def test_neither_rate_nor_neighbours_are_chosen_by_the_test_images(digits, way):
    shuffled = np.random.default_rng(0).permutation(digits.y_test)
    known, blind = way(of(digits), "random"), way(of(digits, y_test=shuffled), "random")
    assert known.chosen == blind.chosen
    assert known.mean > 0.25 > blind.mean  # The labels are then of no use.


def test_a_rate_is_the_best_of_those_given(digits):
    low, high = (
        of(digits, dataclasses.replace(PLAN, rates=(rate,))).by_steps("average")
        for rate in PLAN.rates
    )
    both = of(digits).by_steps("average")
    assert both == (high if both.chosen == 0.1 else low)
    assert (low.chosen, high.chosen) == PLAN.rates


def test_the_best_of_many_random_sets_is_one_set_for_all_networks(digits):
    told = []
    plan = dataclasses.replace(PLAN, rates=(0.1,), candidates=5)
    baselines = StepBaselines(plan, digits.dataset, digits.transform, told=lambda: told.append(1))
    random = baselines.by_steps("random")
    begun = len(told)
    best = baselines.by_steps("optimised")
    # Three networks for the rate, three for each candidate, one for each draw.
    assert len(told) - begun == 3 + 3 * 5 + 2
    assert best.kind == "optimised" and best.mean >= random.mean - 0.05


def test_the_nearest_neighbour_is_that_of_brute_force(digits):
    plan = dataclasses.replace(PLAN, steps=1, ipc=1)
    found = of(digits, plan).by_neighbours("average")
    learned_from, _ = hold_out(digits.dataset)
    images, classes = baseline_set("average", learned_from, digits.transform, 10, seed=0)
    tests = digits.x_test.reshape(len(digits.x_test), -1)
    distances = np.linalg.norm(tests[:, None] - images.reshape(1, 10, -1), axis=2)
    assert found.chosen == 1
    right = np.mean(classes[distances.argmin(axis=1)] == digits.y_test)
    assert found.accuracies[0] == pytest.approx(right, abs=1 / len(tests))


def test_rates_that_all_diverge_are_named(digits):
    with pytest.raises(FloatingPointError, match=r"no rate of 1e\+30 gives finite losses"):
        of(digits, dataclasses.replace(PLAN, rates=(1e30,))).by_steps("random")


def test_one_draw_has_no_deviation():
    assert Baseline("random", "gradient steps", 0.1, (0.5,)).deviation == 0
    assert Baseline("random", "gradient steps", 0.1, (0.4, 0.6)).mean == 0.5
