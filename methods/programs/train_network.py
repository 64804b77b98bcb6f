"""A network trained on real images."""

import dataclasses
import math
from typing import ClassVar

import numpy as np

from stillhouse.data.transforms import transform_from_arrays
from stillhouse.methods.programs.context import Context
from stillhouse.methods.programs.program import PASSES, Arrays, ArrayType, Program, Types
from stillhouse.methods.programs.registry import register
from stillhouse.networks import NetworkSpec, build_network
from stillhouse.networks.training_spec import TrainingSpec


@register("train_network")
@dataclasses.dataclass(frozen=True)
class TrainNetwork(Program):
    """The weights of a network after training, its scores, and its weights along the way.

    Shared are training images `[n, h, w, c]`, uint8 or float32, their classes int64 `[n]`, test
    images and their classes, and the arrays of the transform. Own is the seed, int64 `[1]`.

    The results are the weights float32 `[size]`, as `Network.pack` returns them; float64 `[3]`,
    test accuracy, training accuracy and training loss of the last epoch; and the snapshots float32
    `[t, size]`.

    It cannot be halved: each step needs the one before.

    Attributes:
        network: which network.
        training: how it is trained.
        num_classes: its outputs k.
        transform: the kind of the transform through which it sees images.
        transform_arrays: the names of the transform's arrays, in the order in which they come.
        train_images: how many images it is trained on; a share of n by the fraction in `training`.
    """

    unit: ClassVar[str] = PASSES

    network: NetworkSpec
    training: TrainingSpec
    num_classes: int
    transform: str
    transform_arrays: tuple[str, ...]
    train_images: int

    def check(self, shared: Types, own: Types) -> None:
        """Check that there are images and classes to train and to test with, and a seed."""
        if len(shared) != 4 + len(self.transform_arrays):
            raise ValueError(
                f"the training of a network takes {4 + len(self.transform_arrays)} shared arrays, "
                f"got {len(shared)}"
            )
        x_train, y_train, x_test, y_test = shared[:4]
        for x, y in ((x_train, y_train), (x_test, y_test)):
            if len(x.shape) != 4 or x.dtype not in (np.uint8, np.float32):
                raise ValueError(
                    f"images must be uint8 or float32 [n, h, w, c], got {x.dtype} {list(x.shape)}"
                )
            if tuple(y.shape) != (x.shape[0],) or y.dtype != np.int64:
                raise ValueError(
                    f"classes must be int64 [{x.shape[0]}], got {y.dtype} {list(y.shape)}"
                )
        if tuple(x_train.shape[1:]) != tuple(x_test.shape[1:]):
            raise ValueError("training and test images must be of one size")
        if not 1 <= self.train_images <= x_train.shape[0]:
            raise ValueError(
                f"`train_images` must be 1 to {x_train.shape[0]}, got {self.train_images}"
            )
        if [(tuple(x.shape), x.dtype) for x in own] != [((1,), np.dtype(np.int64))]:
            raise ValueError("the training of a network takes its seed as its own, int64 [1]")

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the types of weights, scores and snapshots."""
        h, w, c = shared[0].shape[1:]
        size = build_network(self.network, (h, w, c), self.num_classes).size
        snapshots = len(self.training.snapshot_steps(self.train_images))
        scores = ArrayType((3,), np.dtype(np.float64))
        return ArrayType((size,)), scores, ArrayType((snapshots, size))

    def work(self, shared: Types, own: Types) -> int:
        """Return the passes: one for each image of each step, a third for a test image."""
        batch = min(self.training.batch_size, self.train_images)
        trained = self.training.steps(self.train_images) * batch
        return trained + math.ceil(shared[2].shape[0] / 3)

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Train the network."""
        # JAX is not needed to name a program.
        from stillhouse.networks.training import TrainingData, images_of_fraction, train_network

        x_train, y_train, x_test, y_test, *rest = shared
        arrays = dict(zip(self.transform_arrays, rest, strict=True))
        transform = transform_from_arrays(self.transform, arrays)
        seed = int(own[0][0])
        chosen = images_of_fraction(y_train, self.training.fraction, seed)
        if len(chosen) != self.train_images:
            raise ValueError(
                f"{len(chosen)} training images where `train_images` says {self.train_images}"
            )
        data = TrainingData(x_train, y_train, x_test, y_test, self.num_classes, transform)
        found = train_network(self.network, self.training, seed, data)
        scores = np.array([found.test_accuracy, found.train_accuracy, found.train_loss])
        return found.weights, scores, found.snapshots

    def describe(self, shared: Types, own: Types) -> str:
        """Return which network, and on how many images."""
        return f"training of a {self.network} on {self.train_images:,} images"
