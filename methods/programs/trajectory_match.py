"""A student that is to come where an expert went."""

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from stillhouse.data.labels import class_targets
from stillhouse.data.sampling import rng_for
from stillhouse.data.siamese import SiameseAugmentation
from stillhouse.methods.programs.context import Context
from stillhouse.methods.programs.program import PASSES, Arrays, ArrayType, Program, Types
from stillhouse.methods.programs.registry import register
from stillhouse.networks import NetworkSpec, build_network

if TYPE_CHECKING:
    from stillhouse.methods.matching.trajectory import Lesson

# A step of the student, and the derivative of what it makes of weights and images.
PASSES_OF_STEP = 4


@register("trajectory_match")
@dataclasses.dataclass(frozen=True)
class TrajectoryMatch(Program):
    """How near a student comes to an expert, and its derivatives by the set and the learning rate.

    Shared are the set's images float32 `[s, h, w, c]` and labels float32 `[s, k]`, of which the
    largest class counts, and the packed weights that the student starts from and those that the
    expert came to, float32 `[size]`. Own are the student's learning rate, float32 `[1]`, and the
    seed of what it is shown, int64 `[1]`.

    The results are the distance, float64 `[1]`, relative to the way that the expert went; its
    gradient by the images, float32 `[s, h, w, c]`; and its derivative by the rate, float64 `[1]`.

    It cannot be halved: each step needs the one before.

    Attributes:
        network: which network.
        steps: of the student.
        batch_size: images of a step; None for all.
        augmentation: what happens to the images of a step alike; None for nothing.

    Raises:
        ValueError: if a number is not positive.
    """

    unit: ClassVar[str] = PASSES

    network: NetworkSpec
    steps: int
    batch_size: int | None = None
    augmentation: SiameseAugmentation | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"`{name}` must be positive, got {value}")

    def check(self, shared: Types, own: Types) -> None:
        """Check that there are a set, two weights, a learning rate and a seed."""
        if len(shared) != 4:
            raise ValueError(f"matching a trajectory takes four shared arrays, got {len(shared)}")
        images, labels, *weights = shared
        if len(images.shape) != 4 or len(labels.shape) != 2 or labels.shape[0] != images.shape[0]:
            raise ValueError(
                f"images [s, h, w, c] and labels [s, k] belong together, got "
                f"{list(images.shape)} and {list(labels.shape)}"
            )
        h, w, c = images.shape[1:]
        size = build_network(self.network, (h, w, c), labels.shape[1]).size
        for vector in weights:
            if tuple(vector.shape) != (size,) or vector.dtype != np.float32:
                raise ValueError(
                    f"weights must be float32 [{size}], got {vector.dtype} {list(vector.shape)}"
                )
        expected = [((1,), np.dtype(np.float32)), ((1,), np.dtype(np.int64))]
        if [(tuple(x.shape), x.dtype) for x in own] != expected:
            raise ValueError(
                "matching a trajectory takes a learning rate, float32 [1], and a seed, int64 [1], "
                "as its own"
            )

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the types of the distance and its derivatives."""
        number = ArrayType((1,), np.dtype(np.float64))
        return number, ArrayType(shared[0].shape), number

    def work(self, shared: Types, own: Types) -> int:
        """Return the passes: four for each image of each step."""
        images = shared[0].shape[0]
        return PASSES_OF_STEP * self.steps * min(self.batch_size or images, images)

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Let the student walk, and go back along its way."""
        from stillhouse.methods.matching.trajectory import match_trajectory
        from stillhouse.methods.unrolling.unroll import step_programs

        images, labels, start, end = shared
        h, w, c = images.shape[1:]
        programs = step_programs(self.network, "xent", (h, w, c), labels.shape[1])
        first, state = programs.network.unpack(start)
        expert, _ = programs.network.unpack(end)
        rate, seed = np.float32(own[0][0]), int(own[1][0])
        lessons = list(self._lessons(len(images), seed))
        found = match_trajectory(
            programs, images, class_targets(labels), rate, first, expert, state, lessons
        )
        return (
            np.array([found.loss]),
            found.images.astype(np.float32),
            np.array([found.rate]),
        )

    def describe(self, shared: Types, own: Types) -> str:
        """Return how far, and on how many images."""
        return f"{self.steps} steps of a student {self.network} on {shared[0].shape[0]} images"

    def _lessons(self, count: int, seed: int) -> Iterator["Lesson"]:
        """Yield what each step shows: the images from one random order to another."""
        from stillhouse.methods.matching.trajectory import Lesson

        size = min(self.batch_size or count, count)
        waiting, epoch = np.empty(0, np.intp), 0
        for step in range(self.steps):
            while len(waiting) < size:
                order = rng_for(seed, "student order", epoch).permutation(count)
                order = np.arange(count) if size == count else order
                waiting, epoch = np.concatenate([waiting, order]), epoch + 1
            rows, waiting = waiting[:size], waiting[size:]
            draw = None if self.augmentation is None else self.augmentation.draw(seed, step)
            yield Lesson(rows, draw)
