"""What a step of training makes smaller, and how, as data."""

import dataclasses

LOSSES = ("mse", "xent")
OPTIMISERS = ("sgd", "adam")


@dataclasses.dataclass(frozen=True)
class Objective:
    """What a step makes smaller, and how.

    Attributes:
        loss: "mse", half the mean squared error over images and outputs, or "xent", cross entropy.
        l2: adds `l2 / 2` times the sum of all squared weights and biases to it, in the NTK
            parameterisation as scaled.
        optimiser: "sgd" or "adam".
        momentum: of "sgd", heavy-ball gradient descent.
    """

    loss: str = "xent"
    l2: float = 0.0
    optimiser: str = "sgd"
    momentum: float = 0.9

    def __post_init__(self) -> None:
        for name, choices in (("loss", LOSSES), ("optimiser", OPTIMISERS)):
            value = getattr(self, name)
            if value not in choices:
                raise ValueError(f"`{name}` must be one of {', '.join(choices)}, got {value!r}")
        if not 0 <= self.l2 < float("inf"):
            raise ValueError(f"`l2` must not be negative, got {self.l2}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"`momentum` must be in [0, 1), got {self.momentum}")
