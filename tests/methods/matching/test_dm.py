import dataclasses

import numpy as np
import pytest

from stillhouse.methods.algorithm import NonFiniteStepError
from stillhouse.methods.matching.dm_settings import DmSettings

SMALL = DmSettings(
    network="mlp", width=16, depth=1, steps=10, target_batch=30, learning_rate=0.5, augment=(),
    recipe_steps=60, recipe_rate=0.1, recipe_networks=2,
)  # fmt: skip


def test_images_become_what_networks_take_for_real_ones(problem, steps):
    algorithm = SMALL.algorithm(problem(SMALL))
    before = algorithm.begin()
    after, losses = steps(algorithm, 10, before)
    assert losses[-1] < 0.7 * losses[0]
    scores = [algorithm.score(state) for state in (before, after)]
    assert scores[1]["test_accuracy"] > scores[0]["test_accuracy"] + 0.1
    assert 0 <= scores[1]["test_accuracy_deviation"] < 0.3
    assert np.array_equal(after.labels, before.labels)


def test_a_step_takes_networks_and_classes_apart_and_its_bits_do_not_mind(problem, steps, same):
    settings = dataclasses.replace(SMALL, networks=2)
    whole = settings.algorithm(problem(settings))
    one, losses = steps(whole, 2)
    cut = dataclasses.replace(settings, task_images=20)
    apart = cut.algorithm(problem(cut))
    other, other_losses = steps(apart, 2)
    assert [len(tasks) for tasks in whole.problem.runner.passes] == [2, 2]
    assert [len(tasks) for tasks in apart.problem.runner.passes] == [4, 4]
    assert same(whole, one, other) and losses == pytest.approx(other_losses)
    seeds = {int(task.own[0][0]) for tasks in whole.problem.runner.passes for task in tasks}
    assert len(seeds) == 4  # A fresh network each time.


@pytest.mark.parametrize(
    "options", [{}, {"optimiser": "adam", "decay": True}, {"coordinates": "dct"}]
)
def test_a_resumed_run_is_the_same_to_the_bit(problem, steps, same, options):
    settings = dataclasses.replace(SMALL, augment=("crop", "color"), learning_rate=0.05, **options)
    algorithm = settings.algorithm(problem(settings))
    straight, _ = steps(algorithm, 4)
    half, _ = steps(algorithm, 2)
    read = algorithm.restore(algorithm.save(half))
    resumed, _ = steps(algorithm, 2, read, first=3)
    assert same(algorithm, straight, resumed)


def test_a_rate_that_is_too_high_is_named_with_its_step(problem, steps):
    settings = dataclasses.replace(SMALL, learning_rate=1e30)
    with pytest.raises(NonFiniteStepError, match=r"step \d: .*a lower `learning_rate`"):
        steps(settings.algorithm(problem(settings)), 4)


def test_its_recipe_is_the_published_training():
    recipe = DmSettings().recipe()
    assert (recipe.optimiser, recipe.learning_rate, recipe.schedule) == ("momentum", 0.01, "step")
    assert recipe.network["width"] == 128 and recipe.network["norm"] == "instance"
    assert recipe.augmentation["kinds"][0] == "color" and recipe.l2 == 5e-4
    assert SMALL.recipe().augmentation is None


def test_a_norm_over_the_batch_is_refused():
    with pytest.raises(ValueError, match="`--norm` batch normalises over a batch"):
        DmSettings(norm="batch")


def test_targets_that_classes_do_not_share_are_refused(spots):
    with pytest.raises(ValueError, match="must be a multiple of the 3 classes, got 31; try 30"):
        dataclasses.replace(SMALL, target_batch=31).batch_size(spots, 3)
    with pytest.raises(ValueError, match="`--target_batch`"):
        dataclasses.replace(SMALL, target_batch=300).batch_size(spots, 3)
    assert DmSettings().batch_size(spots, 3) == 60
