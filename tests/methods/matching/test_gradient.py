import dataclasses

import numpy as np
import pytest

from stillhouse.methods.matching.gradient_settings import DcSettings, DsaSettings
from stillhouse.methods.programs import GradientMatch, TrainOnSet

SMALL = DcSettings(
    network="mlp", width=16, depth=1, steps=12, target_batch=30, learning_rate=0.3, recipe_steps=60,
    recipe_rate=0.1, outer_steps=3, inner_steps=2,
)  # fmt: skip


def kinds(algorithm):
    """The programs of each pass so far."""
    return [[type(task.program) for task in tasks] for tasks in algorithm.problem.runner.passes]


def test_images_move_networks_as_real_ones_do(problem, steps):
    settings = dataclasses.replace(SMALL, outer_steps=1, steps=20)
    algorithm = settings.algorithm(problem(settings))
    before = algorithm.begin()
    after, losses = steps(algorithm, 20, before)
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
    assert algorithm.score(after)["test_accuracy"] > algorithm.score(before)["test_accuracy"]


def test_fresh_networks_are_brought_to_a_random_age_on_the_images_of_now(problem, steps):
    settings = dataclasses.replace(SMALL, networks=4)
    algorithm = settings.algorithm(problem(settings))
    state, _ = steps(algorithm, 1)
    training, matching = algorithm.problem.runner.passes
    assert {task.program.steps for task in training} <= {2, 4} and len(training) < 4
    assert all(isinstance(task.program, GradientMatch) for task in matching)
    assert sum(len(task.shared) == 3 for task in matching) == len(training)
    assert all(task.shared[0] is training[0].shared[0] for task in training)
    moved, _ = steps(algorithm, 1, state, first=2)
    assert not np.array_equal(moved.images, state.images)


def test_as_published_one_network_lives_while_the_images_change(problem, steps, same):
    settings = dataclasses.replace(SMALL, alternate=True)
    algorithm = settings.algorithm(problem(settings))
    first, _ = steps(algorithm, 1)
    state, _ = steps(algorithm, 3, first, first=2)
    match, train = [GradientMatch], [TrainOnSet]
    assert kinds(algorithm) == [match, train, match, train, match, match]
    trained = [tasks[0] for tasks in algorithm.problem.runner.passes if len(tasks[0].shared) == 3]
    # The second training goes on from the first; the fourth step begins with a new network.
    assert [type(task.program) for task in trained] == [GradientMatch, TrainOnSet, GradientMatch]
    assert np.array_equal(trained[0].shared[2], trained[1].shared[2])
    assert state.carried == {}
    # Resumed amid a network's life, it is the same to the bit.
    straight, _ = steps(algorithm, 3)
    half, _ = steps(algorithm, 2)
    assert half.carried["weights"].ndim == 1
    read = algorithm.restore(algorithm.save(half))
    assert same(algorithm, straight, steps(algorithm, 1, read, first=3)[0])


def test_the_published_loops_go_by_the_images_of_a_class():
    assert [DcSettings().loops(ipc) for ipc in (1, 10, 50)] == [(1, 1), (10, 50), (50, 10)]
    assert DcSettings(outer_steps=4).loops(10) == (4, 50)


def test_what_is_augmented_and_for_how_long_it_is_trained():
    assert DcSettings().siamese is None and DcSettings().recipe().steps == 300
    assert DsaSettings().siamese.kinds[3] == "flip" and DsaSettings().recipe().steps == 1000


def test_its_recipe_may_augment_where_matching_does_not():
    settings = DcSettings(recipe_augment=("crop", "scale", "rotate"))
    assert settings.siamese is None
    assert settings.recipe().augmentation["kinds"] == ["crop", "scale", "rotate"]
    assert settings.identity()["recipe_augment"] == ["crop", "scale", "rotate"]
    assert DsaSettings(recipe_augment=("none",)).recipe().augmentation is None
    assert "recipe_augment" not in DsaSettings().identity()


def test_several_networks_cannot_all_live():
    with pytest.raises(ValueError, match="`--alternate` follows one network"):
        DcSettings(alternate=True, networks=2).check_given(frozenset({"networks", "alternate"}))
