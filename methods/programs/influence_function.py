"""What leaving out an image of a set would change, by the Hessian in place of training again."""

import dataclasses
import math
from typing import ClassVar

import numpy as np

from stillhouse.data.transforms import transform_from_arrays
from stillhouse.methods.programs.context import Context
from stillhouse.methods.programs.labelled_images import check_labelled, check_transform_arrays
from stillhouse.methods.programs.leave_one_out import SetTraining
from stillhouse.methods.programs.program import PASSES, Arrays, ArrayType, Program, Types
from stillhouse.methods.programs.registry import register

# A product with the Hessian, see `loss_curvature`.
_PASSES_OF_PRODUCT = 3


@register("influence_function")
@dataclasses.dataclass(frozen=True)
class InfluenceFunction(Program):
    """How the loss of each image asked about would change without some of a set, one at a time.

        change_j(x) = grad l(x)^T (H + damping I)^-1 grad l(j) / s

    with H the Hessian of the mean loss of the set, at the weights to which training on all of it
    leads. To first order it is what `LeaveOneOut` gives without j less what it gives with all.

    Shared are those of `LeaveOneOut`. Own are the seed of the network's first weights, int64 `[1]`,
    and the rows of the images to leave out, int64 `[r]`.

    The results are the changes, float32 `[r, m]`, and for each row the damping with which
    H + damping I was positive and what the solver left of the right side, float64 `[r, 2]`.

    Attributes:
        training: how the network is trained.
        damping: to begin with; it grows where H is not positive with it.
        iterations: of conjugate gradients, at most.
        transform: the kind of the transform through which it sees images.
        transform_arrays: the names of the transform's arrays, in the order in which they come.

    Raises:
        ValueError: if a number is not positive.

    References:
        Koh, Liang. Understanding Black-box Predictions via Influence Functions. ICML 2017,
        https://arxiv.org/abs/1703.04730
    """

    unit: ClassVar[str] = PASSES

    training: SetTraining
    damping: float
    iterations: int
    transform: str
    transform_arrays: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("damping", "iterations"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive, got {getattr(self, name)}")

    def check(self, shared: Types, own: Types) -> None:
        """Check that there are a set, images to ask about, a seed and rows."""
        check_transform_arrays("an influence function", shared, 4, self.transform_arrays)
        check_labelled(*shared[:2])
        check_labelled(*shared[2:4])
        if tuple(shared[0].shape[1:]) != tuple(shared[2].shape[1:]):
            raise ValueError("the images of the set and those asked about are of one size")
        types = [(len(x.shape), x.dtype) for x in own]
        if types != [(1, np.dtype(np.int64))] * 2 or own[0].shape[0] != 1:
            raise ValueError("an influence function takes a seed int64 [1] and rows int64 [r]")

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the types of the changes, and of how they were found."""
        rows, asked = own[1].shape[0], shared[2].shape[0]
        return ArrayType((rows, asked)), ArrayType((rows, 2), np.dtype(np.float64))

    def work(self, shared: Types, own: Types) -> int:
        """Return the passes: those of the training, and of every product at most."""
        rows, (s, *_), (m, *_) = own[1].shape[0], shared[0].shape, shared[2].shape
        solved = rows * (self.iterations * _PASSES_OF_PRODUCT * s + m)
        return self.training.steps * s + math.ceil(solved)

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Train the network, and solve for each row."""
        from stillhouse.networks.curvature import LossSurface, solve_damped

        images, classes, asked, answers, *rest = shared
        arrays = dict(zip(self.transform_arrays, rest, strict=True))
        transform = transform_from_arrays(self.transform, arrays)
        (seed,), rows = own
        seen, one_hot = transform.apply(images), np.eye(self.training.num_classes)
        weights = self.training.weights(seen, classes, int(seed))
        targets = one_hot[classes].astype(np.float32)
        whole = LossSurface(self.training.network, weights, seen, targets)
        others = LossSurface(
            *(self.training.network, weights, transform.apply(asked)),
            one_hot[answers].astype(np.float32),
        )
        changes, solved = [], []
        for row in rows:
            part = slice(row, row + 1)
            image = LossSurface(self.training.network, weights, seen[part], targets[part])
            found = solve_damped(
                whole.product,
                image.gradient(),
                damping=self.damping,
                iterations=self.iterations,
            )
            changes.append(others.slopes(found.x) / len(images))
            solved.append((found.damping, found.residual))
        return np.stack(changes).astype(np.float32), np.array(solved, np.float64)

    def describe(self, shared: Types, own: Types) -> str:
        """Return of how many images of how many."""
        return (
            f"influence functions of {own[1].shape[0]} of {shared[0].shape[0]} images in a "
            f"{self.training.network}"
        )
