"""Trajectory matching as a method: its settings."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from stillhouse.data.dataset import Dataset
from stillhouse.methods.algorithm import Algorithm
from stillhouse.methods.costs import RunCost, RunSizes
from stillhouse.methods.matching.settings import MatchingSettings
from stillhouse.methods.method import Problem
from stillhouse.methods.options import at_least, option, positive
from stillhouse.methods.programs.trajectory_match import PASSES_OF_STEP
from stillhouse.networks.pool import Pool

# Images a class, and up to how many: the student's steps, and before which snapshot it starts.
_PUBLISHED = ((1, 50, 2), (10, 30, 20))
_MOST = (30, 40)


@dataclasses.dataclass(frozen=True)
class MttSettings(MatchingSettings):
    """Trajectory matching.

    Attributes:
        steps: updates of the images.
        learning_rate: of the images.
        pool: the folder of the experts.
        networks: experts of a step.
        student_steps: of a student.
        student_batch: images of each.
        student_rate: the learning rate it begins with.
        step_size_rate: how fast that is learned, in its logarithm.
        expert_epochs: how far ahead the expert is.
        max_start: before which snapshot a student starts.
    """

    about: ClassVar[str] = "match trajectories of experts"
    from_batches: ClassVar[bool] = False

    steps: int = option(5000, "updates of the images", check=at_least(1))
    learning_rate: float = option(100.0, "of the images", check=positive)
    pool: str | None = option(
        None, "the folder of the experts, made by stillhouse pretrain --trajectories"
    )
    networks: int = option(1, "experts of a step, drawn anew for each", check=at_least(1))
    student_steps: int | None = option(
        None,
        "steps of a student (default, as published: 50 for 1 image a class, else 30)",
        check=at_least(1),
    )
    student_batch: int | None = option(
        None, "images of each of them (default: all)", check=at_least(1)
    )
    student_rate: float = option(
        0.01, "learning rate of a student to begin with; it is learned", check=positive
    )
    step_size_rate: float = option(
        0.001, "learning rate of that learning rate, in its logarithm", check=positive
    )
    expert_epochs: int = option(
        2,
        "how far ahead the expert is whom a student is to reach, in snapshots: epochs, or what "
        "pretrain's --every said",
        check=at_least(1),
    )
    max_start: int | None = option(
        None,
        "a student starts from one of so many first snapshots (default, as published: 2, 20 or 40 "
        "for 1, 10 or 50 images a class, or as many as there are)",
        check=at_least(1),
    )

    def walk(self, ipc: int, snapshots: int) -> tuple[int, int]:
        """Return the steps of a student, and from how many first snapshots it may start.

        Args:
            ipc: images per class.
            snapshots: how many each expert has.
        """
        steps, starts = next((p[1:] for p in _PUBLISHED if ipc <= p[0]), _MOST)
        return self.student_steps or steps, self.max_start or min(
            starts, snapshots - self.expert_epochs
        )

    def identity(self) -> dict[str, Any]:
        """Return what decides the bits of a result."""
        own = (
            *("networks", "student_steps", "student_batch", "student_rate", "step_size_rate"),
            *("expert_epochs", "max_start"),
        )
        settings = {name: getattr(self, name) for name in own}
        return {**super().identity(), **settings, "pool": self.experts().fingerprint}

    def check_given(self, given: frozenset[str]) -> None:
        """Check flags that would be ignored."""
        super().check_given(given)
        for name, why in (
            ("recipe_rate", "that of the students is learned, and is the recipe's"),
            ("target_batch", "experts have seen the real images"),
        ):
            if name in given:
                raise ValueError(f"`--{name}` has no meaning here: {why}")

    def experts(self) -> Pool:
        """Return the pool.

        Raises:
            ValueError: if none is named, or the folder holds none.
            OSError: if it cannot be read.
        """
        if self.pool is None:
            raise ValueError(
                "matching trajectories needs `--pool`, a folder of experts made by stillhouse "
                "pretrain --trajectories"
            )
        return Pool(Path(self.pool).expanduser())

    def check_data(self, dataset: Dataset, transform: str) -> None:
        """Check that the pool has trajectories of this network on these data."""
        super().check_data(dataset, transform)
        pool = self.experts()
        info = pool.info
        if not pool.steps:
            raise ValueError(
                f"`--pool`: the networks of {pool.path} have no snapshots; make them by stillhouse "
                "pretrain --trajectories"
            )
        if info.network != self.spec:
            raise ValueError(
                f"`--pool`: {pool.path} holds networks {info.network}, and asked for is "
                f"{self.spec}; give the flags with which the pool was made"
            )
        if info.dataset.fingerprint != dataset.fingerprint():
            raise ValueError(
                f"`--pool`: the networks of {pool.path} were trained on {info.dataset.name} "
                f"(SHA-256 {info.dataset.fingerprint[:16]}), not on these data"
            )
        if info.transform != transform:
            raise ValueError(
                f"`--pool`: the networks of {pool.path} see images through --transform="
                f"{info.transform}, not {transform}"
            )
        last = len(pool.steps) - 1
        if (self.max_start or 1) - 1 + self.expert_epochs > last:
            raise ValueError(
                f"`--max_start` {self.max_start or 1} with --expert_epochs={self.expert_epochs} "
                f"leads beyond the last of the {last + 1} snapshots of {pool.path}; the largest is "
                f"{last + 1 - self.expert_epochs}"
            )

    def cost(self, sizes: RunSizes, *, steps: int, evaluations: int) -> RunCost:
        """Return the cost of a run."""
        shown = min(self.student_batch or sizes.support, sizes.support)
        walked, _ = self.walk(sizes.support // sizes.num_classes, self.expert_epochs + 1)
        step = self.networks * PASSES_OF_STEP * walked * shown
        return self.cost_of(sizes, step=step, batch=shown, steps=steps, evaluations=evaluations)

    def algorithm(self, problem: Problem) -> Algorithm[Any]:
        """Return MTT on a problem."""
        from stillhouse.methods.matching.mtt import TrajectoryMatching

        return TrajectoryMatching(self, problem)
