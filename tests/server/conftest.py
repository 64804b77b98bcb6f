import dataclasses

import numpy as np
import pytest

from stillhouse.data.batches import TargetBatches
from stillhouse.data.dataset import dataset_from_arrays
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.transforms import fit_transform
from stillhouse.kernels.architecture import fc
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.kip import KipConfig
from stillhouse.server.algorithms import Kip, LabelSolve
from stillhouse.server.distillation import distil
from stillhouse.server.evaluation import Evaluation
from stillhouse.server.run_folder import RunFolder
from stillhouse.server.schedule import Schedule
from stillhouse.workers.local import LocalComputer

SPEC = KernelSpec(fc(1))
CLASSES, TARGETS = 3, 24


@dataclasses.dataclass
class Workshop:
    """A small problem, and runs of it."""

    dataset: object
    transform: object
    computer: LocalComputer

    def start(self):
        first = np.concatenate([np.flatnonzero(self.dataset.y_train == c)[:2] for c in range(3)])
        labels = centred_one_hot(self.dataset.y_train[first], CLASSES)
        return self.transform.apply(self.dataset.x_train[first]), labels

    def batches(self):
        return TargetBatches(self.dataset, self.transform, TARGETS, 0)

    def kip(self, **options):
        return Kip(KipConfig((SPEC,), **options), self.batches(), self.computer, self.start)

    def label_solve(self, chunk=20):
        return LabelSolve(
            SPEC, 1e-6, self.dataset, self.transform, chunk, self.computer, self.start
        )

    def evaluation(self, **options):
        return Evaluation(self.computer, {"fc:1": SPEC}, self.batches(), 1e-6, **options)

    def distil(self, path, algorithm, schedule, should_stop=lambda: False, **options):
        folder = RunFolder(path)
        with folder.opened({"seed": 0}, {}):
            return distil(
                algorithm,
                schedule=schedule,
                evaluation=self.evaluation(should_stop=should_stop),
                folder=folder,
                **options,
            )


@pytest.fixture(scope="session")
def workshop():
    rng = np.random.default_rng(0)
    y = np.arange(150) % CLASSES
    x = rng.normal(size=(150, 4, 4, 1)) + np.eye(16)[y].reshape(-1, 4, 4, 1) * 3
    dataset = dataset_from_arrays(x.astype(np.float32), y, name="spots")
    transform = fit_transform("standardise", dataset.x_train)
    return Workshop(dataset, transform, LocalComputer())


@pytest.fixture
def schedule():
    return Schedule(7, checkpoint_every=3, eval_every=2)
