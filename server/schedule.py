"""When things happen in a run, and what it tells of itself meanwhile."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Schedule:
    """When things happen in a run.

    Attributes:
        steps: how many steps it has.
        checkpoint_every: steps between checkpoints.
        eval_every: steps between evaluations on the test images; 0 for the end only.

    Raises:
        ValueError: if a number is too small.
    """

    steps: int
    checkpoint_every: int = 50
    eval_every: int = 50

    def __post_init__(self) -> None:
        for name, low in (("steps", 1), ("checkpoint_every", 1), ("eval_every", 0)):
            if getattr(self, name) < low:
                raise ValueError(f"`{name}` must be {low} or more, got {getattr(self, name)}")

    def evaluates(self, step: int) -> bool:
        """Return whether the support set is scored on the test images after `step` steps."""
        return step == self.steps or (self.eval_every > 0 and step % self.eval_every == 0)

    @property
    def evaluations(self) -> int:
        """How often the support set is scored, before the first step and at the end included."""
        return sum(self.evaluates(step) for step in range(self.steps + 1))


@dataclasses.dataclass(frozen=True)
class Progress:
    """What a run tells of itself, once when it begins or goes on, and after each step.

    Attributes:
        step: how many steps are done.
        steps: how many there are.
        values: what was measured, by name: loss, accuracy, test_accuracy, test_mse.
        speeds: work units of the last step a second, by what they are; empty where there are none.
    """

    step: int
    steps: int
    values: Mapping[str, float]
    speeds: Mapping[str, float] = dataclasses.field(default_factory=dict)
