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
from stillhouse.kernels.architecture import convnet
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.corruption import Corruption
from stillhouse.methods.kernel_regression.evaluation import KrrScoring
from stillhouse.methods.kernel_regression.features import FeatureComputer, FeatureTasks
from stillhouse.methods.kernel_regression.rfad import Rfad, RfadConfig
from stillhouse.methods.programs import Context
from stillhouse.server.blobs import BlobStore
from stillhouse.server.pool import WorkerPool
from stillhouse.server.scheduler import Scheduler
from stillhouse.server.service import Service
from stillhouse.workers.local import LocalRunner
from stillhouse.workers.loop import work

SPEC = KernelSpec(convnet(1, prepend=False), "nngp")
CLASSES = 3
PATIENCE = 60


@pytest.fixture(scope="module")
def spots():
    rng = np.random.default_rng(0)
    y = np.arange(240) % CLASSES
    x = rng.normal(size=(240, 4, 4, 1)) + 4 * np.eye(16)[y].reshape(-1, 4, 4, 1)
    return dataset_from_arrays(x.astype(np.float32), y, name="spots")


class Counting(LocalRunner):
    def __init__(self):
        super().__init__(Context(threads=1))
        self.tasks = []

    def results(self, tasks):
        self.tasks += [task.program.name for task in tasks]
        return super().results(tasks)


def rfad(spots, runner=None, **options):
    runner = runner or Counting()
    config = RfadConfig(SPEC, **{"networks": 3, "loss": "cross_entropy"} | options)
    batches = TargetBatches(spots, fit_transform("standardise", spots.x_train), 30, 0)
    start = np.random.default_rng(1).normal(size=(6, 4, 4, 1)).astype(np.float32)
    labels = centred_one_hot(np.arange(6) % CLASSES, CLASSES)
    scoring = KrrScoring(
        FeatureComputer(runner, width=16, networks=8), {"spots": SPEC}, batches, 1e-3
    )
    tasks = FeatureTasks(SPEC, 4, runner)
    return Rfad(config, batches, tasks, lambda: (start, labels), scoring)


def run(method, state, steps):
    values = {}
    for _ in range(steps):
        state, values = method.advance(state, state.step + 1)
    return state, values


def bits(state):
    return {name: array.tobytes() for name, array in state.to_arrays().items()}


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_it_learns_images_that_classify(spots, loss):
    method = rfad(spots, loss=loss, learning_rate=0.1, regularisation=1e-3)
    start = method.begin()
    state, values = run(method, start, 40)
    scores = method.score(state)
    before, after = method.score(start)["test_accuracy"], scores["test_accuracy"]
    assert after > before + 0.15 and values["accuracy"] > 0.6
    assert ("softmax_scale" in method.final_scores(state, scores)) == (loss == "cross_entropy")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"redraw": 3, "rule": "adabelief"},
        {"cached_groups": 2, "redraw": 2, "decay_steps": 8, "learn_labels": False},
        {"corruption": Corruption(0.5), "loss": "mse"},
    ],
)
def test_a_resumed_run_ends_in_the_same_bits(spots, options):
    method = rfad(spots, **options)
    straight, _ = run(method, method.begin(), 7)
    half, _ = run(method, method.begin(), 3)
    other = rfad(spots, **options)
    resumed, _ = run(other, other.restore(other.save(half)), 4)
    assert bits(resumed) == bits(straight)


def test_networks_are_drawn_anew_when_asked(spots):
    config = rfad(spots, redraw=3).config
    assert [config.group_of_step(step) for step in range(7)] == [0, 0, 0, 1, 1, 1, 2]
    assert config.seeds(0) == config.seeds(0) != config.seeds(1)
    other = dataclasses.replace(config, seed=1)
    assert other.seeds(0) != config.seeds(0)


def test_groups_are_kept_and_renewed_in_turn(spots):
    method = rfad(spots, cached_groups=3, redraw=4)
    used = [method.config.group_of_step(step) for step in range(40)]
    # Of the three that are there: 0 to 2, then one more every four steps for the oldest.
    assert all(step // 4 <= group <= step // 4 + 2 for step, group in enumerate(used))
    assert len(set(used[:4])) > 1 and max(used) == 11
    runner = method.tasks.runner
    run(method, method.begin(), 12)
    targets = len(set(used[:12]))
    assert runner.tasks.count("random_features") == 3 * (12 + targets)
    assert len(method.cache) <= 3


def test_noise_stays_noise(spots):
    method = rfad(spots, corruption=Corruption(0.6))
    start = method.begin()
    state, _ = run(method, start, 4)
    still = method.config.corruption.mask(start.images.shape)
    assert 0.4 < still.mean() < 0.8
    moved = state.images != start.images
    assert not moved[still].any() and moved[~still].all()
    clean = rfad(spots).begin().images
    assert (start.images[still] != clean[still]).all()
    np.testing.assert_array_equal(start.images[~still], clean[~still])


@pytest.fixture
def pool_and_service():
    ends = time.monotonic() + PATIENCE
    scheduler = Scheduler(time.monotonic, heartbeat=1.0)
    config = {
        **{"version": stillhouse.__version__, "config_hash": "f00"},
        **{"backend": "xla", "summary": "a run"},
    }
    with WorkerPool(scheduler, BlobStore(), should_stop=lambda: time.monotonic() > ends) as pool:
        yield pool, Service(pool, config)


def test_two_workers_give_the_bits_of_one_process(spots, pool_and_service):
    straight = rfad(spots)
    expected, _ = run(straight, straight.begin(), 2)
    pool, service = pool_and_service
    crew = [threading.Thread(target=work, args=(service,), kwargs={"threads": 1}) for _ in "ab"]
    for worker in crew:
        worker.start()
    method = rfad(spots, pool)
    try:
        state, _ = run(method, method.begin(), 2)
    finally:
        pool.close()
        for worker in crew:
            worker.join(PATIENCE)
    assert bits(state) == bits(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"redraw": 0}, "`redraw` must be 1 or more, got 0"),
        ({"networks": 0}, "`networks` must be 1 or more"),
        ({"cached_groups": -1}, "`cached_groups` must be 0 or more"),
        ({"corruption": Corruption(0.5), "coordinates": "dct"}, "`corruption` is of pixels"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        RfadConfig(SPEC, **options)
