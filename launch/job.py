"""A run as objects, made of settings that are known to be sound."""

import dataclasses
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from stillhouse.data.augmentation import Augmentation
from stillhouse.data.batches import TargetBatches
from stillhouse.data.card import Card
from stillhouse.data.dataset import Dataset
from stillhouse.data.transforms import Transform, fit_transform
from stillhouse.kernels.spec import KernelSpec
from stillhouse.launch.first_support import first_support
from stillhouse.launch.settings.run import DistillConfig
from stillhouse.methods.algorithm import Algorithm, Support
from stillhouse.methods.costs import RunCost
from stillhouse.methods.evaluation import KrrScoring
from stillhouse.methods.keep_best import KeepBest
from stillhouse.methods.kip import Kip, KipConfig
from stillhouse.methods.label_solve import LabelSolve
from stillhouse.methods.tasks import TaskRunner
from stillhouse.methods.tiled import TiledComputer
from stillhouse.server.run_folder import RunFolder
from stillhouse.server.schedule import Schedule

# Settings that say where and how a run ran; whoever gets its result need not know them.
_OF_THIS_MACHINE = (
    *("dataset_path", "max_bytes", "out", "threads", "checkpoint_every", "eval_every"),
    *("engine", "workers", "loaders", "ray_address", "heartbeat", "address"),
)


@dataclasses.dataclass(frozen=True)
class Job:
    """A run that is known to be sound, before anything heavy is done.

    Attributes:
        config: its settings.
        dataset: what it distils.
        learning: what it learns from: the dataset, but for what is held out to choose by.
        chosen_by: has as its test images what is held out; None where nothing is.
        kernels: its kernels by name, such as `convnet:3`; the first one is evaluated.
        support_size: images in the support set.
        targets: images in a target batch, and in a chunk of Label Solve and evaluation.
        schedule: when things happen.
        cost: what it costs.
        backend: the name of the backend that computes kernels, wherever.
        runner: who computes tasks.
        folder: where it goes.
    """

    config: DistillConfig
    dataset: Dataset
    kernels: dict[str, KernelSpec]
    support_size: int
    targets: int
    schedule: Schedule
    cost: RunCost
    backend: str
    runner: TaskRunner
    folder: RunFolder
    learning: Dataset
    chosen_by: Dataset | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, as they were given or worked out."""
        groups = dataclasses.asdict(self.config)
        flat = {name: value for group in groups.values() for name, value in group.items()}
        del flat["ipc"]
        flat |= {"support_size": self.support_size, "target_batch": self.targets}
        flat |= {"steps": self.schedule.steps, "backend": self.backend}
        path = os.path.expanduser(self.config.data.dataset)
        if os.path.exists(path):
            flat |= {"dataset_path": os.path.abspath(path)}
        flat |= {"kernels": {k: _json_of(spec) for k, spec in self.kernels.items()}}
        return flat

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of the result: a run is another one where any of it differs."""
        data, method = self.config.data, self.config.method
        chosen: dict[str, Any] = {
            "dataset": self._data,
            "transform": data.transform,
            "architecture": ", ".join(self.kernels),
            "kernel": self.config.kernel.kernel,
            "W_std": self.config.kernel.W_std,
            "b_std": self.config.kernel.b_std,
            "global_pool": self.config.kernel.global_pool,
            "support_size": self.support_size,
            "init": self.config.support.init,
            "method": method.method,
            "target_batch": self.targets,
            "regularisation": method.regularisation,
            "seed": method.seed,
            "backend": self.backend,
        }
        if method.method == "kip":
            chosen |= {"augment": data.augment, "flip": data.augment and data.flip}
            chosen |= {"steps": method.steps, "learning_rate": method.learning_rate}
            chosen |= {"decay": method.decay, "learn_labels": method.learn_labels}
            if method.keep == "best":
                # Said where it is asked for, so that runs of before go on.
                chosen |= {"keep": method.keep, "eval_every": self.config.run.eval_every}
        return chosen

    @property
    def growing(self) -> str | None:
        """The setting that a run in the same folder may have less of: it is taken further."""
        method = self.config.method
        grows = method.method == "kip" and not method.decay and method.keep == "last"
        return "steps" if grows else None

    @property
    def _data(self) -> str:
        """The data themselves: where they lie, and what they are called there, does not matter."""
        x, k = self.dataset.x_train, self.dataset.num_classes
        size = " x ".join(map(str, self.dataset.image_shape))
        digest = self.dataset.fingerprint()[:16]
        return f"{len(x)} images of {size} in {k} classes (sha256 {digest})"

    def summary(self) -> str:
        """Return the run in a line."""
        method = self.config.method.method
        networks = ", ".join(self.kernels)
        return (
            f"{method} on {self.dataset.name}: {self.support_size} images, "
            f"{self.schedule.steps} steps of {self.targets:,} targets, "
            f"{networks} {self.config.kernel.kernel} by {self.backend}"
        )

    def card(self) -> Card:
        """Return the provenance of the set that the run will leave, without scores."""
        method = self.config.method
        kernel = _json_of(next(iter(self.kernels.values())))
        settings = {k: v for k, v in self.settings.items() if k not in _OF_THIS_MACHINE}
        return Card(method.method, kernel, settings, method.seed, self.dataset.info())

    def fit_transform(self) -> Transform:
        """Return the transform, fitted on the training images."""
        return fit_transform(self.config.data.transform, self.dataset.x_train)

    def batches(self, transform: Transform, *, augmented: bool) -> TargetBatches:
        """Return the target batches, augmented if asked for here and in the settings."""
        data = self.config.data
        augmentation = Augmentation(flip=data.flip) if augmented and data.augment else None
        seed = self.config.method.seed
        return TargetBatches(self.learning, transform, self.targets, seed, augmentation)

    def algorithm(
        self,
        transform: Transform,
        batches: TargetBatches,
        runner: TaskRunner,
        should_stop: Callable[[], bool],
    ) -> Algorithm[Any]:
        """Return the method.

        Args:
            transform: of the images.
            batches: what it learns from, if it is one that learns from batches.
            runner: computes its tasks.
            should_stop: asked while it scores whether to give up.
        """
        method, specs = self.config.method, tuple(self.kernels.values())
        computer = TiledComputer(runner)
        scoring = KrrScoring(
            computer,
            self.kernels,
            self.batches(transform, augmented=False),
            method.regularisation,
            should_stop=should_stop,
        )

        def start() -> Support:
            return self.first_support(transform)

        if method.method == "label_solve":
            return LabelSolve(
                specs[0],
                method.regularisation,
                self.dataset,
                transform,
                self.targets,
                computer,
                start,
                scoring,
            )
        config = KipConfig(
            specs,
            method.learning_rate,
            method.steps if method.decay else None,
            method.learn_labels,
            method.regularisation,
            method.seed,
        )
        kip = Kip(config, batches, computer, start, scoring)
        if self.chosen_by is None:
            return kip
        held = dataclasses.replace(
            scoring, batches=dataclasses.replace(scoring.batches, dataset=self.chosen_by)
        )

        def judge(images: np.ndarray, labels: np.ndarray) -> float:
            return held.test(images, labels)["test_accuracy"]

        every = self.config.run.eval_every or self.schedule.steps
        return KeepBest(kip, judge, scoring.test, scoring.final, every, self.schedule.steps)

    def first_support(self, transform: Transform) -> Support:
        """Return the images and labels from which the run starts, in the kernel's space."""
        return first_support(
            self.config.support.init,
            self.support_size,
            self.learning,
            transform,
            self.config.method.seed,
        )


def _json_of(spec: KernelSpec) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(spec.to_json())
    return content
