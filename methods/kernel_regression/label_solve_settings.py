"""Label Solve as a method: its settings."""

import dataclasses
import math
from typing import Any, ClassVar

from stillhouse.data.dataset import Dataset
from stillhouse.methods.algorithm import Algorithm
from stillhouse.methods.costs import RunCost, RunSizes, label_solve_cost
from stillhouse.methods.kernel_regression.kernel_settings import KernelSettings
from stillhouse.methods.method import Problem


@dataclasses.dataclass(frozen=True)
class LabelSolveSettings(KernelSettings):
    """Label Solve, which has no settings but those of kernel regression."""

    about: ClassVar[str] = "solve for labels in closed form"
    from_batches: ClassVar[bool] = False

    def steps_for(self, dataset: Dataset) -> int:
        """Return the chunks of the training images."""
        return math.ceil(len(dataset.y_train) / self.batch_size(dataset))

    def cost(self, sizes: RunSizes, *, steps: int, evaluations: int) -> RunCost:
        """Return the cost of a run."""
        cost = label_solve_cost(sizes, evaluations=evaluations)
        return self.with_final_scores(cost, sizes.support, sizes.chunk)

    def algorithm(self, problem: Problem) -> Algorithm[Any]:
        """Return Label Solve on a problem."""
        from stillhouse.methods.kernel_regression.label_solve import LabelSolve
        from stillhouse.methods.kernel_regression.tiled import TiledComputer

        (spec,) = self.kernels().values()
        computer = TiledComputer(problem.runner)
        return LabelSolve(
            spec,
            self.regularisation,
            problem.dataset,
            problem.transform,
            problem.plain.batch_size,
            computer,
            problem.start,
            self.scoring(problem, computer),
        )
