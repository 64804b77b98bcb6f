"""Label Solve as a method: its settings."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any, ClassVar

from stillhouse.data.dataset import Dataset
from stillhouse.methods.algorithm import Algorithm, Support
from stillhouse.methods.costs import RunCost, RunSizes, label_solve_cost, solved_by_features
from stillhouse.methods.kernel_regression.feature_layers import (
    WIDTH,
    check_features,
    feature_layers,
)
from stillhouse.methods.kernel_regression.kernel_settings import KernelSettings
from stillhouse.methods.method import Problem
from stillhouse.methods.options import at_least, changed, option

if TYPE_CHECKING:
    from stillhouse.methods.kernel_regression.computer import KernelComputer


@dataclasses.dataclass(frozen=True)
class LabelSolveSettings(KernelSettings):
    """Label Solve.

    Attributes:
        approximate: random networks by whose features labels are solved for; None for the kernel
            itself.
    """

    about: ClassVar[str] = "solve for labels in closed form"
    from_batches: ClassVar[bool] = False

    approximate: int | None = option(
        None,
        "solve by random features of so many networks of width 32, where support set times dataset "
        "is too dear; needs --kernel=nngp (default: by the kernel itself)",
        check=at_least(1),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.approximate is not None:
            # As of methods that learn through networks: the last digits go with the threads.
            object.__setattr__(self, "threads", 1)

    def steps_for(self, dataset: Dataset) -> int:
        """Return the chunks of the training images."""
        return math.ceil(len(dataset.y_train) / self.batch_size(dataset, support=0))  # Of any set.

    def cost(self, sizes: RunSizes, *, steps: int, evaluations: int) -> RunCost:
        """Return the cost of a run.

        Raises:
            ValueError: if features cannot stand in for the kernel.
        """
        cost = label_solve_cost(sizes, evaluations=evaluations)
        if self.approximate is not None:
            (spec,) = self.kernels().values()
            networks, shape = self.approximate, sizes.image_shape
            check_features(spec, networks, sizes.support, shape, "approximate")
            features = networks * feature_layers(spec.architecture, WIDTH, shape).size
            cost = solved_by_features(cost, sizes, networks=networks, features=features)
        return self.with_final_scores(cost, sizes.support, sizes.chunk)

    def algorithm(self, problem: Problem) -> Algorithm[Any]:
        """Return Label Solve on a problem."""
        from stillhouse.methods.kernel_regression.label_solve import LabelSolve

        (spec,) = self.kernels().values()
        exact = self.computer(problem)
        computer: KernelComputer = exact
        if self.approximate is not None:
            from stillhouse.methods.kernel_regression.features import FeatureComputer

            computer = FeatureComputer(
                problem.runner, width=WIDTH, networks=self.approximate, seed=problem.seed
            )

        def start() -> Support:
            images, labels = problem.start()
            return self.corrupted_by(problem).of(images), labels

        return LabelSolve(
            spec,
            self.regularisation,
            problem.dataset,
            problem.transform,
            problem.plain.batch_size,
            computer,
            start,
            self.scoring(problem, exact),
        )

    def identity(self) -> dict[str, Any]:
        """Return what decides the bits of a result."""
        return {**super().identity(), **changed(self, "approximate")}
