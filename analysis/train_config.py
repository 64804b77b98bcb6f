"""How finite networks are trained."""

import dataclasses
import math

from stillhouse.networks import NETWORKS, NORMS, PARAMETERISATIONS

LOSSES = ("mse", "xent")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How networks are trained.

    Attributes:
        network: one of `stillhouse.networks.NETWORKS`.
        width: channels of its first convolution, or units of its hidden layers.
        depth: blocks of a convnet, hidden layers of an mlp; None for the family's own.
        norm: "none", "instance" or "batch".
        prepend: put one more convolution before the first block of a convnet.
        parameterisation: "standard" or "ntk".
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
    """

    network: str = "convnet"
    width: int = 128
    depth: int | None = None
    norm: str = "none"
    prepend: bool = True
    parameterisation: str = "standard"
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

    def __post_init__(self) -> None:
        names = {
            "network": NETWORKS,
            "norm": NORMS,
            "parameterisation": PARAMETERISATIONS,
            "loss": LOSSES,
        }
        for name, choices in names.items():
            value = getattr(self, name)
            if value not in choices:
                raise ValueError(f"`{name}` must be one of {', '.join(choices)}, got {value!r}")
        for name in ("width", "steps", "batch_size", "seeds", "rate_factor"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive, got {getattr(self, name)}")
        if not 0 < self.label_scale < math.inf:
            raise ValueError(f"`label_scale` must be positive, got {self.label_scale}")
        for name in ("l2", "seed", "eval_every"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must not be negative, got {getattr(self, name)}")
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise ValueError(f"`learning_rate` must be positive, got {self.learning_rate}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"`momentum` must be in [0, 1), got {self.momentum}")
