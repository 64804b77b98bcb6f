"""A network taken some steps further on a small set of images."""

import dataclasses
from collections import deque
from typing import ClassVar

import numpy as np

from stillhouse.data.siamese import SiameseAugmentation
from stillhouse.methods.programs.context import Context
from stillhouse.methods.programs.program import PASSES, Arrays, ArrayType, Program, Types
from stillhouse.methods.programs.registry import register
from stillhouse.networks import NetworkSpec, build_network
from stillhouse.networks.objective import Objective


@register("train_on_set")
@dataclasses.dataclass(frozen=True)
class TrainOnSet(Program):
    """The weights of a network after steps of gradient descent on a set: float32 `[size]`.

    Shared are images float32 `[s, h, w, c]`, labels float32 `[s, k]`, of which the largest class
    counts, and the packed weights to begin with, float32 `[size]`, where they are not random. Own
    are int64 `[2]`: the seed of random weights, and the seed of the order and the augmentation.

    It cannot be halved: each step needs the one before.

    Attributes:
        network: which network.
        steps: how many.
        learning_rate: of plain gradient descent on the cross entropy.
        batch_size: images of a step; all where there are fewer.
        augmentation: what happens to each image of a step; None for nothing.

    Raises:
        ValueError: if a number is not positive.
    """

    unit: ClassVar[str] = PASSES

    network: NetworkSpec
    steps: int
    learning_rate: float
    batch_size: int
    augmentation: SiameseAugmentation | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "learning_rate", "batch_size"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive, got {getattr(self, name)}")

    def check(self, shared: Types, own: Types) -> None:
        """Check that there are images, labels, perhaps weights, and two seeds."""
        if len(shared) not in (2, 3):
            raise ValueError(f"training on a set takes images and labels, got {len(shared)} arrays")
        images, labels = shared[:2]
        if len(images.shape) != 4 or len(labels.shape) != 2 or labels.shape[0] != images.shape[0]:
            raise ValueError(
                f"images [s, h, w, c] and labels [s, k] belong together, got "
                f"{list(images.shape)} and {list(labels.shape)}"
            )
        for weights in shared[2:]:
            (expected,) = self.results(shared, own)
            if tuple(weights.shape) != expected.shape or weights.dtype != expected.dtype:
                raise ValueError(
                    f"weights must be {expected}, got {weights.dtype} {list(weights.shape)}"
                )
        if [(tuple(x.shape), x.dtype) for x in own] != [((2,), np.dtype(np.int64))]:
            raise ValueError("training on a set takes two seeds as its own, int64 [2]")

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the type of the weights."""
        h, w, c = shared[0].shape[1:]
        return (ArrayType((build_network(self.network, (h, w, c), shared[1].shape[1]).size,)),)

    def work(self, shared: Types, own: Types) -> int:
        """Return the passes: one for each image of each step."""
        return self.steps * min(self.batch_size, shared[0].shape[0])

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Train the network."""
        from stillhouse.networks.descent import descend, programs_for
        from stillhouse.networks.siamese import augmented_batches
        from stillhouse.networks.training_set import TrainingSet

        images, labels, *weights = shared
        h, w, c = images.shape[1:]
        objective = Objective("xent", 0.0, "sgd", 0.0)
        programs = programs_for(self.network, objective, (h, w, c), labels.shape[1])
        weights_seed, seed = (int(number) for number in own[0])
        network = programs.network
        params, state = network.unpack(weights[0]) if weights else network.init(weights_seed)
        shown = TrainingSet.of("xent", images, labels, labels.shape[1])
        batches = shown.batches(self.batch_size, seed)
        if self.augmentation is not None:
            batches = augmented_batches(batches, self.augmentation, seed)
        rates = [self.learning_rate] * self.steps
        steps = descend(programs, params, state, rates, batches)
        ((params, state, _),) = deque(steps, maxlen=1)
        return (network.pack(params, state),)

    def describe(self, shared: Types, own: Types) -> str:
        """Return how far, and on how many images."""
        return f"{self.steps} steps of a {self.network} on {shared[0].shape[0]} images"
