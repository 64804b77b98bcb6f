"""The settings of methods that compare real and synthetic images class by class."""

import dataclasses
from typing import Any

from stillhouse.methods.matching.settings import MatchingSettings
from stillhouse.methods.options import at_least, option


@dataclasses.dataclass(frozen=True)
class ClassMatchingSettings(MatchingSettings):
    """Tasks.

    Attributes:
        networks: networks of a step.
        task_images: real images of a task.
    """

    networks: int = option(1, "networks of a step, drawn anew for each", check=at_least(1))
    task_images: int = option(
        512,
        "real images of a task, in whole classes: a step has as many tasks as it takes, which "
        "workers share",
        check=at_least(1),
    )

    def identity(self) -> dict[str, Any]:
        """Return what decides the bits of a result."""
        # Not how a step is cut into tasks: each class is computed for itself.
        return {**super().identity(), "networks": self.networks}

    def parts(self, num_classes: int, targets: int) -> list[tuple[int, ...]]:
        """Return the classes of each task.

        Args:
            num_classes: how many there are.
            targets: real images of a step.
        """
        size = max(self.task_images // (targets // num_classes), 1)
        return [
            tuple(range(start, min(start + size, num_classes)))
            for start in range(0, num_classes, size)
        ]
