"""The derivative of what gradient steps on a small set come to, from one initialisation."""

import dataclasses
from typing import ClassVar

import numpy as np

from stillhouse.methods.programs.context import Context
from stillhouse.methods.programs.program import PASSES, Arrays, ArrayType, Program, Types
from stillhouse.methods.programs.registry import register
from stillhouse.networks import NetworkSpec

# A step is one pass of each of its images, the derivative of a step about two.
_PASSES_OF_A_STEP = 3


@register("unrolled_gradient")
@dataclasses.dataclass(frozen=True)
class UnrolledGradient(Program):
    """The loss of a network after gradient steps on a set, and its derivatives by the set.

    Shared are the set's images, float32 `[s, h, w, c]`, what their labels are to a loss, float32
    `[s, k]`, the step sizes float32 `[n]`, the rows of the images of each step of an epoch int64
    `[T, b]`, targets float32 `[t, h, w, c]` with `[t, k]` and weights `[t]`, and, `from_weights`,
    the weights to begin with, float32 `[size]`. Own is int64 `[2]`: the seed of the weights where
    there are none, and after how many steps the loss is taken.

    The results are float64 `[2]`, loss and accuracy on the targets, and the derivatives by images,
    labels and step sizes, float32 of their shapes.

    It cannot be halved: each step needs the one before.

    Attributes:
        network: which network.
        loss: "xent" or "mse", of steps and of targets.
        window: through how many of the last steps the derivative goes; 0 for all.
        from_weights: whether the weights to begin with are given.
    """

    unit: ClassVar[str] = PASSES

    network: NetworkSpec
    loss: str = "xent"
    window: int = 0
    from_weights: bool = False

    def check(self, shared: Types, own: Types) -> None:
        """Check that there is a set, its step sizes and order, targets, and what to begin with."""
        expected = 7 + self.from_weights
        if len(shared) != expected:
            raise ValueError(
                f"an unrolled gradient takes {expected} shared arrays, got {len(shared)}"
            )
        x, y, sizes, order, x_t, y_t, w = shared[:7]
        (s, *image), (t, *target) = x.shape, x_t.shape
        k = y.shape[-1]
        right = [
            (len(x.shape) == 4 and image == target, "images of one size [n, h, w, c]"),
            (tuple(y.shape) == (s, k) and tuple(y_t.shape) == (t, k), "a label for each image"),
            (tuple(w.shape) == (t,), "a weight for each target"),
            (len(order.shape) == 2 and order.dtype == np.int64, "rows of each step, int64 [T, b]"),
            (len(sizes.shape) == 1, "step sizes [n]"),
            (all(a.dtype == np.float32 for a in (x, y, sizes, *shared[4:])), "float32"),
        ]
        for holds, what in right:
            if not holds:
                found = ", ".join(f"{a.dtype} {list(a.shape)}" for a in shared)
                raise ValueError(f"an unrolled gradient takes {what}, got {found}")
        if not sizes.shape[0] or sizes.shape[0] % order.shape[0]:
            raise ValueError(f"{sizes.shape[0]} step sizes for epochs of {order.shape[0]} steps")
        if [(tuple(a.shape), a.dtype) for a in own] != [((2,), np.dtype(np.int64))]:
            raise ValueError("an unrolled gradient takes a seed and an end as its own, int64 [2]")

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the types of loss and accuracy, and of the derivatives."""
        values = ArrayType((2,), np.dtype(np.float64))
        return (values, *(ArrayType(array.shape) for array in shared[:3]))

    def work(self, shared: Types, own: Types) -> int:
        """Return the passes: three for each image of each step, one for each target."""
        steps, batch = shared[2].shape[0], shared[3].shape[1]
        # Of a window it is not known here where it lies: at the end it takes longest.
        through = min(self.window or steps, steps)
        passes = batch * (steps - through + _PASSES_OF_A_STEP * through)
        return passes + shared[4].shape[0]

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Take the steps, and go back through them."""
        # JAX is not needed to name a program.
        from stillhouse.methods.unrolling.unroll import (
            first_weights,
            step_programs,
            unrolled_gradient,
        )

        images, labels, sizes, order, x_t, y_t, w = shared[:7]
        seed, end = (int(value) for value in own[0])
        if not 1 <= end <= len(sizes) or order.min() < 0 or order.max() >= len(images):
            raise ValueError(f"the end {end} or a row of the order is of no step or image there is")
        h, width, c = images.shape[1:]
        programs = step_programs(self.network, self.loss, (h, width, c), labels.shape[1])
        network = programs.network
        begun = network.unpack(shared[7]) if self.from_weights else first_weights(network, seed)
        found = unrolled_gradient(
            programs,
            *begun,
            images,
            labels,
            sizes,
            order,
            (x_t, y_t, w),
            end=end,
            window=self.window or None,
        )
        derivatives = (found.images, found.labels, found.step_sizes)
        values = np.array([found.loss, found.accuracy])
        return (values, *(array.astype(np.float32) for array in derivatives))

    def describe(self, shared: Types, own: Types) -> str:
        """Return which network, and through how many steps."""
        steps = min(self.window or shared[2].shape[0], shared[2].shape[0])
        return f"gradient of a {self.network} through {steps} steps"
