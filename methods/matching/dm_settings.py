"""Distribution matching as a method: its settings."""

import dataclasses
import math
from typing import Any, ClassVar

from stillhouse.methods.algorithm import Algorithm
from stillhouse.methods.costs import RunCost, RunSizes
from stillhouse.methods.matching.class_settings import ClassMatchingSettings
from stillhouse.methods.method import Problem
from stillhouse.methods.options import at_least, option


@dataclasses.dataclass(frozen=True)
class DmSettings(ClassMatchingSettings):
    """Distribution matching.

    Attributes:
        steps: updates of the images.
    """

    about: ClassVar[str] = "match features in random networks"

    steps: int = option(20_000, "updates of the images", check=at_least(1))

    def cost(self, sizes: RunSizes, *, steps: int, evaluations: int) -> RunCost:
        """Return the cost of a run."""
        step = self.networks * (sizes.support + math.ceil(sizes.chunk / 3))
        batch = max(sizes.chunk, sizes.support) // sizes.num_classes
        return self.cost_of(sizes, step=step, batch=batch, steps=steps, evaluations=evaluations)

    def algorithm(self, problem: Problem) -> Algorithm[Any]:
        """Return DM on a problem."""
        from stillhouse.methods.matching.dm import DistributionMatching

        return DistributionMatching(self, problem)
