"""A network trained on a small set, real images beside it or instead, and what it then answers."""

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
from stillhouse.networks.objective import Objective


@register("train_and_predict")
@dataclasses.dataclass(frozen=True)
class TrainAndPredict(Program):
    """The classes that a network answers for images after some steps on a set: int32 `[m]`.

    Shared are the set's raw images float32 `[s, h, w, c]` and classes int64 `[s]`, where s may be
    zero; raw real images `[n, h, w, c]` and their classes int64 `[n]`; the raw images
    `[m, h, w, c]` that are answered; and the arrays of the transform. Own are the seed, int64
    `[1]`, and the rows of the real images that the network is trained on beside the set, int64
    `[r]`.

    A step shows all images, or the next `batch_size` of one random order after another.

    It cannot be halved: each step needs the one before.

    Attributes:
        network: which network.
        num_classes: its outputs k.
        steps: how many.
        learning_rate: of gradient descent with momentum on the cross entropy.
        momentum: of it.
        batch_size: images of a step; all where there are fewer.
        transform: the kind of the transform through which it sees images.
        transform_arrays: the names of the transform's arrays, in the order in which they come.
    """

    unit: ClassVar[str] = PASSES

    network: NetworkSpec
    num_classes: int
    steps: int
    learning_rate: float
    momentum: float
    batch_size: int
    transform: str
    transform_arrays: tuple[str, ...]

    def check(self, shared: Types, own: Types) -> None:
        """Check that there are images and classes to learn, images to answer, a seed and rows."""
        check_transform_arrays(
            "training on a set and real images", shared, 5, self.transform_arrays
        )
        images, classes, real, real_classes, asked = shared[:5]
        check_labelled(images, classes)
        check_labelled(real, real_classes)
        if not tuple(images.shape[1:]) == tuple(real.shape[1:]) == tuple(asked.shape[1:]):
            raise ValueError("the images of the set, real ones and those asked are of one size")
        types = [(len(x.shape), x.dtype) for x in own]
        if types != [(1, np.dtype(np.int64))] * 2 or own[0].shape[0] != 1:
            raise ValueError("training on a set takes a seed int64 [1] and rows int64 [r] as own")
        if not images.shape[0] + own[1].shape[0]:
            raise ValueError("there is no image to train on")

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the type of the answers."""
        return (ArrayType((shared[4].shape[0],), np.dtype(np.int32)),)

    def work(self, shared: Types, own: Types) -> int:
        """Return the passes: one for each image of each step, a third for each answer."""
        shown = min(self.batch_size, shared[0].shape[0] + own[1].shape[0])
        return self.steps * shown + math.ceil(shared[4].shape[0] / 3)

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Train the network, and ask it."""
        # JAX is not needed to name a program.
        from stillhouse.methods.following_steps import taken
        from stillhouse.networks.descent import predicted, programs_for
        from stillhouse.networks.training_set import TrainingSet

        images, classes, real, real_classes, asked, *rest = shared
        arrays = dict(zip(self.transform_arrays, rest, strict=True))
        transform = transform_from_arrays(self.transform, arrays)
        (seed,), rows = own
        parts = [x for x in (images, real[rows]) if len(x)]
        x = np.concatenate([transform.apply(part) for part in parts])
        y = np.concatenate([classes, real_classes[rows]])
        h, w, c = x.shape[1:]
        objective = Objective("xent", 0.0, "sgd", self.momentum)
        programs = programs_for(self.network, objective, (h, w, c), self.num_classes)
        params, state = programs.network.init(int(seed))
        lesson = TrainingSet.of("xent", x, y, self.num_classes)
        rates = [self.learning_rate] * self.steps
        batches = lesson.batches(self.batch_size, int(seed))
        params, state = taken(programs, params, state, rates, batches)
        found = predicted(programs, params, state, asked, prepare=transform.apply)
        return (found.astype(np.int32),)

    def describe(self, shared: Types, own: Types) -> str:
        """Return how far, and on how many images."""
        return (
            f"{self.steps} steps of a {self.network} on {shared[0].shape[0]} images of a set and "
            f"{own[1].shape[0]:,} real ones"
        )
