import dataclasses

import numpy as np
import pytest

from stillhouse.analysis.studies.materials import Materials, StudiedPool, StudiedSet
from stillhouse.analysis.studies.sizes import StudySizes
from stillhouse.data.dataset import Dataset
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.transforms import fit_transform
from stillhouse.methods.programs import Context, TrainNetwork
from stillhouse.methods.tasks import Task
from stillhouse.networks import NetworkSpec
from stillhouse.networks.objective import Objective
from stillhouse.networks.pool import Pool, PoolInfo
from stillhouse.networks.pool_writer import PoolWriter
from stillhouse.networks.training_spec import TrainingSpec
from stillhouse.workers.local import LocalRunner

RUNNER = LocalRunner(Context("xla", 1))
SIZES = StudySizes(
    networks=2, steps=8, batch_size=24, learning_rate=0.05, test_images=60, real=("0", "1", "4"),
    subsets=3, iterations=12,
)  # fmt: skip


@pytest.fixture(scope="session")
def spots():
    """A small dataset: three kinds of bright spots on noise."""
    rng = np.random.default_rng(0)
    classes = np.arange(240) % 3
    images = rng.integers(0, 120, (240, 6, 6, 1)).astype(np.uint8)
    images[np.arange(240), 1 + classes, 2, 0] += 130
    return Dataset("spots", images[:150], classes[:150], images[150:], classes[150:], tuple("abc"))


@pytest.fixture(scope="session")
def pool(spots, tmp_path_factory):
    """Three narrow networks trained on the spots, with their weights after every step."""
    training = TrainingSpec(
        Objective(), learning_rate=0.1, schedule="constant", batch_size=50, epochs=5, every=1
    )
    info = PoolInfo(
        NetworkSpec("mlp", width=8, depth=1), training, spots.info(), "standardise", (), 150, seed=3
    )
    transform = fit_transform("standardise", spots.x_train)
    arrays = transform.to_arrays()
    program = TrainNetwork(info.network, training, 3, transform.kind, tuple(arrays), 150)
    shared = (spots.x_train, spots.y_train, spots.x_test, spots.y_test, *arrays.values())
    writer = PoolWriter(tmp_path_factory.mktemp("pools") / "mlp", info, 3)
    tasks = [Task(program, shared, (np.array([3 + index], np.int64),)) for index in range(3)]
    with writer.opened(transform):
        for index, results in enumerate(RUNNER.results(tasks)):
            writer.add(index, *results)
    return Pool(writer.path)


def bright(name, spots, rate, ipc):
    """A set of bright spots alone, further than real ones where the rate is above one."""
    classes = np.arange(3).repeat(ipc)
    images = np.zeros((3 * ipc, 6, 6, 1), np.float32)
    images[np.arange(3 * ipc), 1 + classes, 2, 0] = 250 * rate
    images += np.random.default_rng(ipc).normal(60, 20, images.shape).astype(np.float32)
    return StudiedSet(name, images, centred_one_hot(classes, 3).astype(np.float32), "dm")


@pytest.fixture(scope="session")
def materials(spots, pool):
    sets = [bright("plain", spots, 0.7, 4), bright("glaring", spots, 2.0, 4)]
    return Materials(sets, [StudiedPool("mlp", pool)], spots, 0, SIZES, RUNNER)


@pytest.fixture
def counting(materials):
    """The same materials, and the tasks that are computed."""
    seen = []

    class Counting:
        def results(self, tasks):
            seen.extend(tasks)
            return RUNNER.results(tasks)

    return dataclasses.replace(materials, runner=Counting()), seen
