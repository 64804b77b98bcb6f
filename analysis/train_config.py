"""How finite networks are trained."""

import dataclasses
import math

from stillhouse.data.siamese import SiameseAugmentation
from stillhouse.networks import NetworkSpec
from stillhouse.networks.objective import Objective


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How networks are trained.

    Attributes:
        network: which network.
        steps: of gradient descent.
        loss: "mse", half the mean squared error over images and outputs, or "xent", the cross
            entropy with the class where a label is largest.
        label_scale: of "mse": labels are scaled until their root mean square is this many times
            that of centred one-hot ones. What a network answers before training stays in its
            outputs wherever the set does not correct it, and is as large as such a label; so the
            larger the labels, the less of it is left beside what was learned.
        learning_rate: at the first step, from which it falls to zero along a cosine; None for
            `rate_factor` times the largest stable one of `largest_stable_rate`.
        rate_factor: see there.
        momentum: of heavy-ball gradient descent.
        batch_size: images of a step; all of them where there are no more.
        l2: adds `l2 / 2` times the sum of all squared weights and biases to the loss, in the NTK
            parameterisation as scaled.
        seeds: how many networks.
        seed: of the first one; those of the others follow it.
        eval_every: steps between predictions of the test images; 0 for the end only.
        augmentation: what happens to the images of each step; None for nothing.
    """

    network: NetworkSpec = NetworkSpec()
    steps: int = 1000
    loss: str = "mse"
    label_scale: float = 4.0
    learning_rate: float | None = None
    rate_factor: float = 0.25
    momentum: float = 0.9
    batch_size: int = 100
    l2: float = 1e-3
    seeds: int = 5
    seed: int = 0
    eval_every: int = 0
    augmentation: SiameseAugmentation | None = None

    def __post_init__(self) -> None:
        _ = self.objective  # It checks loss, momentum and L2.
        for name in ("steps", "batch_size", "seeds", "rate_factor"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive, got {getattr(self, name)}")
        if not 0 < self.label_scale < math.inf:
            raise ValueError(f"`label_scale` must be positive, got {self.label_scale}")
        for name in ("seed", "eval_every"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must not be negative, got {getattr(self, name)}")
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise ValueError(f"`learning_rate` must be positive, got {self.learning_rate}")

    @property
    def objective(self) -> Objective:
        """What a step makes smaller."""
        return Objective(self.loss, self.l2, "sgd", self.momentum)
