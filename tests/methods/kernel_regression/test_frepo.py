import dataclasses
import threading
import time

import numpy as np
import pytest

import stillhouse
from stillhouse.data.batches import TargetBatches
from stillhouse.data.dataset import dataset_from_arrays
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.transforms import fit_transform
from stillhouse.methods.kernel_regression.frepo_settings import FrepoSettings
from stillhouse.methods.method import Problem
from stillhouse.methods.programs import Context
from stillhouse.server.blobs import BlobStore
from stillhouse.server.pool import WorkerPool
from stillhouse.server.scheduler import Scheduler
from stillhouse.server.service import Service
from stillhouse.workers.local import LocalRunner
from stillhouse.workers.loop import work

PATIENCE = 90

SMALL = FrepoSettings(
    network="mlp", width=16, depth=1, steps=12, target_batch=30, learning_rate=0.1, pool_size=3,
    networks=2, max_online_updates=4, network_rate=0.01, regularisation=1e-3, decay=False,
    recipe_steps=60, recipe_rate=0.03,
)  # fmt: skip


@pytest.fixture(scope="module")
def spots():
    rng = np.random.default_rng(0)
    y = np.arange(240) % 3
    x = rng.normal(size=(240, 4, 4, 1)) + 4 * np.eye(16)[y].reshape(-1, 4, 4, 1)
    x = x.astype(np.float32)
    return dataset_from_arrays(x[:150], y[:150], x[150:], y[150:], name="spots")


class Watched(LocalRunner):
    def __init__(self):
        super().__init__(Context("xla", threads=1))
        self.passes = []

    def results(self, tasks):
        self.passes.append(list(tasks))
        return super().results(tasks)


@pytest.fixture
def frepo(spots):
    def make(settings=SMALL, runner=None):
        transform = fit_transform("standardise", spots.x_train)
        targets = TargetBatches(spots, transform, settings.batch_size(spots, 6), 0)
        start = np.random.default_rng(1).normal(size=(6, 4, 4, 1)).astype(np.float32)
        labels = centred_one_hot(np.arange(6) % 3, 3)
        problem = Problem(
            spots, transform, targets, targets, 0, lambda: (start, labels),
            runner or Watched(),
            lambda: False, settings.steps,
        )  # fmt: skip
        return settings.algorithm(problem), problem.runner

    return make


def walk(method, state, steps, first=1):
    losses = []
    for step in range(first, first + steps):
        state, values = method.advance(state, step)
        losses.append(values["loss"])
    return state, losses


def test_it_learns_images_and_labels_on_which_networks_train(frepo):
    method, _ = frepo()
    start = method.begin()
    state, losses = walk(method, start, 40)
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert method.score(state)["test_accuracy"] > method.score(start)["test_accuracy"] + 0.1
    assert not np.array_equal(method.support(state)[1], method.support(start)[1])


def test_networks_learn_from_the_set_of_now_and_are_renewed_in_turn(frepo):
    method, runner = frepo()
    state, ages = method.begin(), []
    for step in range(1, 31):
        before = state
        state, _ = method.advance(state, step)
        for task in runner.passes[-1]:
            assert task.shared[0] is method.support(before)[0]
            seed, age = task.own[0]
            ages.append((seed, age))
            assert (len(task.shared) == 5) == (age > 0)
    assert len(runner.passes) == 30 and all(len(tasks) == 2 for tasks in runner.passes)
    lives = {seed: [age for other, age in ages if other == seed] for seed, _ in ages}
    assert all(life == list(range(len(life))) for life in lives.values())
    # One that had its steps is used a last time; the first ones of the pool end at other ages.
    assert sorted(map(len, lives.values()))[-1] == 5 and len(lives) > 9
    assert [len(life) for life in lives.values()][:3] != [5, 5, 5]
    assert set(state.networks) == {place for place, (_, age) in enumerate(state.pool) if age}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"decay": True, "learn_labels": False, "mirror": True, "max_online_updates": 0},
        {"optimiser": "lamb", "coordinates": "dct", "networks": 3, "norm": "instance",
         "network": "convnet", "width": 4},
    ],
)  # fmt: skip
def test_a_resumed_run_ends_in_the_same_bits(frepo, options):
    settings = dataclasses.replace(SMALL, **options)
    method, _ = frepo(settings)
    straight, _ = walk(method, method.begin(), 7)
    half, _ = walk(method, method.begin(), 3)
    other, _ = frepo(settings)
    resumed, _ = walk(other, other.restore(method.save(half)), 4, first=4)
    found, expected = other.save(resumed), method.save(straight)
    assert found.keys() == expected.keys()
    assert all(found[name].tobytes() == expected[name].tobytes() for name in found)


def test_two_workers_give_the_bits_of_one_process(frepo):
    settings = dataclasses.replace(SMALL, networks=3)
    method, _ = frepo(settings)
    expected = method.save(walk(method, method.begin(), 4)[0])
    ends = time.monotonic() + PATIENCE
    scheduler = Scheduler(time.monotonic, heartbeat=5.0)
    config = {
        **{"version": stillhouse.__version__, "config_hash": "f00"},
        **{"backend": "xla", "summary": "a run"},
    }
    with WorkerPool(scheduler, BlobStore(), should_stop=lambda: time.monotonic() > ends) as pool:
        service = Service(pool, config)
        crew = [threading.Thread(target=work, args=(service,), kwargs={"threads": 1}) for _ in "ab"]
        for worker in crew:
            worker.start()
        other, _ = frepo(settings, pool)
        try:
            found = other.save(walk(other, other.begin(), 4)[0])
        finally:
            pool.close()
            for worker in crew:
                worker.join(PATIENCE)
    assert found.keys() == expected.keys()
    assert all(found[name].tobytes() == expected[name].tobytes() for name in found)


def test_a_state_of_other_settings_is_named(frepo):
    method, _ = frepo()
    arrays = method.save(walk(method, method.begin(), 2)[0])
    other, _ = frepo(dataclasses.replace(SMALL, pool_size=4))
    with pytest.raises(ValueError, match="a pool of 4 networks"):
        other.restore(arrays)
    gone = next(name for name in arrays if name.startswith("network/"))
    with pytest.raises(ValueError, match=r"network \d is missing"):
        method.restore({name: array for name, array in arrays.items() if name != gone})


def test_what_a_set_is_meant_for():
    recipe = dataclasses.replace(SMALL, recipe_augment=("crop", "flip")).recipe()
    assert (recipe.kind, recipe.loss, recipe.steps) == ("training", "mse", 60)
    assert recipe.augmentation == {"kinds": ["crop", "flip"]}
    assert SMALL.recipe().augmentation is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"networks": 4}, "`--networks` 4 of a step are drawn from a pool of 3"),
        ({"network": "convnet", "norm": "batch"}, "`--norm` batch makes the features"),
        ({"max_online_updates": -1}, "`--max_online_updates` must be a whole number, 0 or more"),
        ({"network_rate": 0.0}, "`--network_rate` must be a positive number"),
    ],
)
def test_wrong_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **options)
