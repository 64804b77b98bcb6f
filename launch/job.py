"""A run as objects, made of settings that are known to be sound."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stillhouse.data.batches import TargetBatches
from stillhouse.data.card import Card
from stillhouse.data.dataset import Dataset
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.recipes import KrrRecipe, recipe_to_plain
from stillhouse.data.transforms import Transform, fit_transform
from stillhouse.launch.first_support import check_same_space, fingerprint, first_support
from stillhouse.launch.settings.run import DistillConfig
from stillhouse.methods.algorithm import Algorithm, Support
from stillhouse.methods.costs import RunCost
from stillhouse.methods.method import Problem
from stillhouse.methods.tasks import TaskRunner
from stillhouse.server.run_folder import RunFolder
from stillhouse.server.schedule import Schedule

# Settings that say where and how a run ran; whoever gets its result need not know them.
_OF_THIS_MACHINE = (
    *("dataset_path", "max_bytes", "out", "threads", "checkpoint_every", "eval_every"),
    *("engine", "workers", "loaders", "ray_address", "heartbeat", "address"),
    *("transport", "token_file", "tls_certificate", "tls_key", "tls_authority"),
    *("any_device", "task_limit", "max_lonely", "audit", "workers_planned", "worker_speed"),
    *("metrics_port", "metrics_address"),
)


@dataclasses.dataclass(frozen=True)
class Job:
    """A run that is known to be sound, before anything heavy is done.

    Attributes:
        config: its settings.
        dataset: what it distils.
        learning: what it learns from: the dataset, but for what is held out to choose by.
        chosen_by: has as its test images what is held out; None where nothing is.
        starts_from: the set that it starts from; None where it starts from something else.
        support_size: images in the support set.
        targets: images in a target batch, and in a chunk of an evaluation.
        schedule: when things happen.
        cost: what it costs.
        backend: the name of the backend that computes tasks, wherever.
        runner: who computes tasks.
        folder: where it goes.
    """

    config: DistillConfig
    dataset: Dataset
    support_size: int
    targets: int
    schedule: Schedule
    cost: RunCost
    backend: str
    runner: TaskRunner
    folder: RunFolder
    learning: Dataset
    chosen_by: Dataset | None = None
    starts_from: DistilledSet | None = None

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
        return {**flat, **self.config.own.details()}

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of the result: a run is another one where any of it differs."""
        # Said where it matters, so that runs of before go on.
        held = {"eval_every": self.config.run.eval_every} if self.chosen_by is not None else {}
        return {
            "dataset": self._data,
            "transform": self.config.data.transform,
            "support_size": self.support_size,
            "init": self._init,
            "method": self.config.method.method,
            "target_batch": self.targets,
            "seed": self.config.method.seed,
            "backend": self.backend,
            **self.config.own.identity(),
            **held,
        }

    @property
    def seed(self) -> int:
        """The seed of everything random."""
        return self.config.method.seed

    @property
    def growing(self) -> str | None:
        """The setting that a run in the same folder may have less of: it is taken further."""
        return self.config.own.growing()

    @property
    def _init(self) -> str:
        """What the images start as; of a set it is what is in it that counts, not where it lies."""
        if self.starts_from is None:
            return self.config.support.init
        return f"set (sha256 {fingerprint(self.starts_from)})"

    @property
    def _softmax_scale(self) -> float | None:
        """What the set that the run starts from says of its predictions."""
        card = None if self.starts_from is None else self.starts_from.card
        scale = 0.0 if card is None else card.scores.get("softmax_scale", 0.0)
        return scale if scale > 0 else None

    @property
    def _data(self) -> str:
        """The data themselves: where they lie, and what they are called there, does not matter."""
        x, k = self.dataset.x_train, self.dataset.num_classes
        size = " x ".join(map(str, self.dataset.image_shape))
        digest = self.dataset.fingerprint()[:16]
        return f"{len(x)} images of {size} in {k} classes (sha256 {digest})"

    def summary(self) -> str:
        """Return the run in a line."""
        return describe_run(self.settings, self.dataset.name)

    def card(self, computed_by: Sequence[str] = ()) -> Card:
        """Return the provenance of the set that the run will leave, without scores.

        Args:
            computed_by: the kinds of device that have computed it.
        """
        method, recipe = self.config.method, self.config.own.recipe()
        settings = {k: v for k, v in self.settings.items() if k not in _OF_THIS_MACHINE}
        kernel = recipe_to_plain(recipe)["kernel"] if isinstance(recipe, KrrRecipe) else {}
        return Card(
            *(method.method, kernel, settings, method.seed, self.dataset.info()),
            recipe=recipe,
            computed_by=tuple(computed_by),
        )

    def fit_transform(self) -> Transform:
        """Return the transform, fitted on the training images.

        Raises:
            ValueError: if the set that the run starts from is seen through another one.
        """
        transform = fit_transform(self.config.data.transform, self.dataset.x_train)
        if self.starts_from is not None:
            file = self.config.support.init
            check_same_space(file, self.starts_from, transform, self.dataset)
        return transform

    def batches(self, transform: Transform, *, augmented: bool) -> TargetBatches:
        """Return the target batches, augmented if asked for here and in the settings."""
        augmentation = self.config.own.augmentation() if augmented else None
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
        problem = Problem(
            self.dataset,
            transform,
            batches,
            self.batches(transform, augmented=False),
            self.config.method.seed,
            lambda: self.first_support(transform),
            runner,
            should_stop,
            steps=self.schedule.steps,
            chosen_by=self.chosen_by,
            judge_every=self.config.run.eval_every or self.schedule.steps,
            softmax_scale=self._softmax_scale,
        )
        return self.config.own.algorithm(problem)

    def first_support(self, transform: Transform) -> Support:
        """Return the images and labels from which the run starts, in the kernel's space."""
        if self.starts_from is not None:
            return self.starts_from.images, self.starts_from.labels
        return first_support(
            self.config.support.init,
            self.support_size,
            self.learning,
            transform,
            self.config.method.seed,
        )


def describe_run(settings: Mapping[str, Any], dataset: str) -> str:
    """Return a run in a line.

    Args:
        settings: what `Job.settings` says of it, perhaps read from its folder.
        dataset: what to call what it distils.
    """
    # Of methods that learn through finite networks there are no kernels.
    through = ", ".join(settings.get("kernels") or (settings.get("network", "networks"),))
    limit = f" {settings['kernel']}" if "kernel" in settings else ""
    targets, pool = settings["target_batch"], settings.get("pool")
    of = f"against the experts of {pool}" if pool else f"of {targets:,} targets"
    return (
        f"{settings['method']} on {dataset}: {settings['support_size']} images, "
        f"{settings['steps']} steps {of}, {through}{limit} by {settings['backend']}"
    )
