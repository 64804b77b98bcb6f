"""What a network makes of other images after training on a set without one of its own."""

import dataclasses
import math
from typing import ClassVar

import numpy as np

from stillhouse.data.transforms import transform_from_arrays
from stillhouse.methods.programs.context import Context
from stillhouse.methods.programs.labelled_images import check_labelled, check_transform_arrays
from stillhouse.methods.programs.program import PASSES, Arrays, ArrayType, Program, Types
from stillhouse.methods.programs.registry import register
from stillhouse.networks import NetworkSpec


@dataclasses.dataclass(frozen=True)
class SetTraining:
    """How a network is trained on all images of a small set at once.

    Attributes:
        network: which network.
        num_classes: its outputs k.
        steps: of gradient descent with momentum on the mean cross entropy of all images.
        learning_rate: of each.
        momentum: of each.

    Raises:
        ValueError: if a number is out of its range.
    """

    network: NetworkSpec
    num_classes: int
    steps: int = 300
    learning_rate: float = 0.01
    momentum: float = 0.9

    def __post_init__(self) -> None:
        for name in ("steps", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive, got {getattr(self, name)}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"`momentum` must be in [0, 1), got {self.momentum}")

    def weights(self, images: np.ndarray, classes: np.ndarray, seed: int) -> np.ndarray:
        """Return the packed weights at the end, float32 `[size]`.

        Args:
            images: as the network sees them, `[s, h, w, c]`.
            classes: integers `[s]`.
            seed: of the weights to begin with.

        Raises:
            FloatingPointError: if a loss is not finite.
        """
        from stillhouse.methods.following_steps import taken
        from stillhouse.networks.descent import programs_for
        from stillhouse.networks.objective import Objective
        from stillhouse.networks.training_set import TrainingSet

        h, w, c = images.shape[1:]
        objective = Objective("xent", 0.0, "sgd", self.momentum)
        programs = programs_for(self.network, objective, (h, w, c), self.num_classes)
        lesson = TrainingSet.of("xent", images, classes, self.num_classes)
        rates = [self.learning_rate] * self.steps
        batches = lesson.batches(len(images), seed)
        start = programs.network.init(seed)
        return programs.network.pack(*taken(programs, *start, rates, batches))

    def losses(self, weights: np.ndarray, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Return the cross entropy of each of other images, float64 `[m]`.

        Args:
            weights: of the network, packed.
            images: as the network sees them, `[m, h, w, c]`.
            classes: integers `[m]`.
        """
        from stillhouse.networks.descent import outputs_of, programs_for
        from stillhouse.networks.objective import Objective

        h, w, c = images.shape[1:]
        objective = Objective("xent", 0.0, "sgd", self.momentum)
        programs = programs_for(self.network, objective, (h, w, c), self.num_classes)
        found = outputs_of(programs, *programs.network.unpack(weights), images).astype(np.float64)
        highest = found.max(axis=1, keepdims=True)
        total = np.log(np.exp(found - highest).sum(axis=1)) + highest[:, 0]
        return total - found[np.arange(len(found)), classes]


@register("leave_one_out")
@dataclasses.dataclass(frozen=True)
class LeaveOneOut(Program):
    """The loss of each image that is asked about, float32 `[m]`, after training without another.

    Shared are the set's raw images `[s, h, w, c]` and classes int64 `[s]`; the raw images
    `[m, h, w, c]` that are asked about and their classes int64 `[m]`; and the arrays of the
    transform. Own are int64 `[2]`: the seed of the network's first weights, the same with whichever
    image left out, and the row of the image that is; -1 for none.

    It cannot be halved: each step needs the one before.

    Attributes:
        training: how the network is trained.
        transform: the kind of the transform through which it sees images.
        transform_arrays: the names of the transform's arrays, in the order in which they come.
    """

    unit: ClassVar[str] = PASSES

    training: SetTraining
    transform: str
    transform_arrays: tuple[str, ...]

    def check(self, shared: Types, own: Types) -> None:
        """Check that there are a set, images to ask about, a seed and a row."""
        check_transform_arrays("leaving one out", shared, 4, self.transform_arrays)
        images, classes, asked, answers = shared[:4]
        check_labelled(images, classes)
        check_labelled(asked, answers)
        if tuple(images.shape[1:]) != tuple(asked.shape[1:]):
            raise ValueError("the images of the set and those asked about are of one size")
        if images.shape[0] < 2:
            raise ValueError("a set of one image has none to leave out")
        if [(tuple(x.shape), x.dtype) for x in own] != [((2,), np.dtype(np.int64))]:
            raise ValueError("leaving one out takes a seed and a row as its own, int64 [2]")

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the type of the losses."""
        return (ArrayType((shared[2].shape[0],)),)

    def work(self, shared: Types, own: Types) -> int:
        """Return the passes: one for each image of each step, a third for each asked about."""
        trained = self.training.steps * shared[0].shape[0]
        return trained + math.ceil(shared[2].shape[0] / 3)

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Train the network, and ask it."""
        images, classes, asked, answers, *rest = shared
        arrays = dict(zip(self.transform_arrays, rest, strict=True))
        transform = transform_from_arrays(self.transform, arrays)
        seed, row = (int(number) for number in own[0])
        if not -1 <= row < len(images):
            raise ValueError(f"the set has images 0 to {len(images) - 1}, and {row} is left out")
        kept = np.arange(len(images)) != row
        seen = transform.apply(images[kept])
        weights = self.training.weights(seen, classes[kept], seed)
        losses = self.training.losses(weights, transform.apply(asked), answers)
        return (losses.astype(np.float32),)

    def describe(self, shared: Types, own: Types) -> str:
        """Return how far, and on how many images."""
        return (
            f"{self.training.steps} steps of a {self.training.network} on {shared[0].shape[0]} "
            "images but one"
        )
