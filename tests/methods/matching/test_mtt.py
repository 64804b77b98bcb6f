import dataclasses

import numpy as np
import pytest

from stillhouse.launch.main import main
from stillhouse.methods.matching.mtt_settings import MttSettings

NETWORK = ("--network=mlp", "--width=16", "--depth=1")


@pytest.fixture(scope="module")
def pools(spots, tmp_path_factory):
    """Pools of experts on the spots: with trajectories, and without."""
    folder = tmp_path_factory.mktemp("pools")
    np.savez(
        folder / "spots.npz", x_train=spots.x_train, y_train=spots.y_train, x_test=spots.x_test,
        y_test=spots.y_test,
    )  # fmt: skip
    data = f"--dataset={folder / 'spots.npz'}"
    training = ("--optimiser=sgd", "--epochs=4", "--batch_size=20", "--networks=2")
    assert main(["pretrain", data, *NETWORK, *training, "--trajectories", f"--out={folder}/a"]) == 0
    assert main(["pretrain", data, *NETWORK, *training, f"--out={folder}/plain"]) == 0
    return folder


@pytest.fixture
def settings(pools):
    return MttSettings(
        network="mlp", width=16, depth=1, steps=10, pool=str(pools / "a"), learning_rate=0.1,
        optimiser="adam", augment=(), student_steps=3, student_rate=0.02, step_size_rate=0.1,
        expert_epochs=1, max_start=2, recipe_steps=60,
    )  # fmt: skip


def test_students_come_nearer_to_experts_and_the_rate_is_learned(settings, problem, steps):
    algorithm = settings.algorithm(problem(settings))
    before = algorithm.begin()
    after, losses = steps(algorithm, 15, before)
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])
    rates = [algorithm.recipe(state).learning_rate for state in (before, after)]
    assert rates[0] == pytest.approx(0.02) and rates[1] != rates[0] and rates[1] > 0
    assert algorithm.score(after)["test_accuracy"] > algorithm.score(before)["test_accuracy"]


def test_a_step_takes_snapshots_of_one_expert_as_far_apart_as_asked(settings, problem, steps):
    algorithm = settings.algorithm(problem(settings))
    steps(algorithm, 8)
    pool, pairs = settings.experts(), set()
    for (task,) in algorithm.problem.runner.passes:
        for member in range(2):
            moments = [pool.weights(member, step).tobytes() for step in pool.steps]
            start, end = (weights.tobytes() for weights in task.shared[2:])
            if start in moments:
                pairs.add((moments.index(start), moments.index(end)))
    assert pairs == {(0, 1), (1, 2)}


@pytest.mark.parametrize("options", [{}, {"optimiser": "sgd", "coordinates": "dct"}])
def test_a_resumed_run_is_the_same_to_the_bit(settings, problem, steps, same, options):
    settings = dataclasses.replace(settings, augment=("crop",), networks=2, **options)
    algorithm = settings.algorithm(problem(settings))
    straight, _ = steps(algorithm, 3)
    half, _ = steps(algorithm, 2)
    read = algorithm.restore(algorithm.save(half))
    assert same(algorithm, straight, steps(algorithm, 1, read, first=3)[0])


def test_the_published_walk_goes_by_the_images_of_a_class():
    assert [MttSettings().walk(ipc, 51) for ipc in (1, 10, 50)] == [(50, 2), (30, 20), (30, 40)]
    assert MttSettings().walk(10, 5) == (30, 3)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pool": None}, "needs `--pool`"),
        ({"pool": "plain"}, "have no snapshots; make them by stillhouse pretrain --trajectories"),
        ({"width": 8}, "holds networks mlp of width 16, depth 1, and asked for is mlp of width 8"),
        ({"max_start": 5}, "leads beyond the last of the 5 snapshots of .*; the largest is 4"),
    ],
)
def test_a_pool_that_is_of_no_use_is_named(settings, spots, pools, options, says):
    if options.get("pool"):
        options = {"pool": str(pools / options["pool"])}
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(settings, **options).check_data(spots, "standardise")


def test_a_pool_of_other_data_or_another_transform_is_named(settings, spots):
    with pytest.raises(ValueError, match="see images through --transform=standardise, not zca"):
        settings.check_data(spots, "zca")
    other = dataclasses.replace(spots, x_train=spots.x_train[::-1].copy())
    with pytest.raises(ValueError, match=r"were trained on spots \(SHA-256 \w+\), not on these"):
        settings.check_data(other, "standardise")


def test_what_is_learned_or_not_used_is_not_set():
    for name in ("recipe_rate", "target_batch"):
        with pytest.raises(ValueError, match=f"`--{name}` has no meaning"):
            MttSettings().check_given(frozenset({name}))
