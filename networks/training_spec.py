"""How a network is trained on real images, as data."""

import dataclasses
import math

import numpy as np

from stillhouse.networks.objective import Objective

SCHEDULES = ("cosine", "constant")


@dataclasses.dataclass(frozen=True)
class TrainingSpec:
    """How a network is trained on real images.

    Attributes:
        objective: what a step makes smaller, and by which optimiser.
        learning_rate: at the first step.
        schedule: "cosine", along which the rate falls to zero, or "constant".
        batch_size: images of a step; all of them where there are fewer.
        epochs: how often each image is met.
        fraction: the share of the images that each network gets, of each class alike; which ones
            is drawn anew for every network.
        every: steps between snapshots; 0 for one an epoch, None for none.

    Raises:
        ValueError: if a number is out of its range.
    """

    objective: Objective = Objective()
    learning_rate: float = 0.01
    schedule: str = "cosine"
    batch_size: int = 128
    epochs: int = 10
    fraction: float = 1.0
    every: int | None = None

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ValueError(
                f"`schedule` must be one of {', '.join(SCHEDULES)}, got {self.schedule!r}"
            )
        for name in ("batch_size", "epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be positive, got {getattr(self, name)}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"`learning_rate` must be positive, got {self.learning_rate}")
        if not 0 < self.fraction <= 1:
            raise ValueError(f"`fraction` must be above 0 and up to 1, got {self.fraction}")
        if self.every is not None and self.every < 0:
            raise ValueError(f"`every` must not be negative, got {self.every}")

    def steps(self, images: int) -> int:
        """Return how many steps so many images take."""
        return math.ceil(self.epochs * images / min(self.batch_size, images))

    def steps_per_epoch(self, images: int) -> int:
        """Return in how many steps each image has been met."""
        return math.ceil(images / min(self.batch_size, images))

    def snapshot_steps(self, images: int) -> tuple[int, ...]:
        """Return after which steps there is a snapshot: from 0, the start, to the last one."""
        if self.every is None:
            return ()
        steps = self.steps(images)
        if self.every:
            return (*range(0, steps, self.every), steps)
        size = min(self.batch_size, images)
        return tuple(math.ceil(epoch * images / size) for epoch in range(self.epochs + 1))

    def rates(self, steps: int) -> np.ndarray:
        """Return the learning rate of each step, float32 `[steps]`."""
        if self.schedule == "constant":
            return np.full(steps, self.learning_rate, np.float32)
        cosine = 0.5 * (1 + np.cos(np.pi * np.arange(steps) / steps))
        return np.asarray(self.learning_rate * cosine, np.float32)
