"""The derivative of a kernel block by its images."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.programs.context import Context
from stillhouse.methods.programs.image_sets import (
    block_of,
    check_cotangent,
    check_images,
    describe_images,
    half_spans,
    longer,
)
from stillhouse.methods.programs.program import (
    KERNEL_ELEMENTS,
    Arrays,
    ArrayType,
    Halves,
    Program,
    Types,
)
from stillhouse.methods.programs.registry import register


@register("kernel_block_vjp")
@dataclasses.dataclass(frozen=True)
class KernelBlockVjp(Program):
    """The gradients of sum(g * K(x1, x2)) by x1, x2 or both.

    Shared are x1 and x2, float32 `[n, h, w, c]`; own is the cotangent g, float32 `[n1, n2]`. The
    results are of the shapes of the images that `wrt` names, float32.

    Attributes:
        spec: the kernel.
        wrt: which of the two sets the derivative is by: (0,), (1,) or (0, 1).

    Raises:
        ValueError: if `wrt` is something else.
    """

    unit: ClassVar[str] = KERNEL_ELEMENTS

    spec: KernelSpec
    wrt: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.wrt not in ((0,), (1,), (0, 1)):
            raise ValueError(f"`wrt` must be (0,), (1,) or (0, 1), got {self.wrt}")

    def check(self, shared: Types, own: Types) -> None:
        """Check that there are two sets of images, and the cotangent of their block."""
        check_images("kernel block's derivative", shared, 2)
        check_cotangent("kernel block's derivative", own, block_of(shared))

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the types of the gradients."""
        return tuple(ArrayType(shared[i].shape) for i in self.wrt)

    def work(self, shared: Types, own: Types) -> int:
        """Return the elements of the block."""
        n1, n2 = block_of(shared)
        return n1 * n2

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Return the gradients."""
        (x1, x2), (g,) = shared, own
        return context.kernel(self.spec).vjp(x1, x2, g, wrt=self.wrt)

    def halves(self, shared: Arrays, own: Arrays) -> Halves | None:
        """Return two derivatives, whose gradients by the side that is whole are added."""
        # Along a side that is differentiated parts need no sum, but it may be too short to cut.
        side = self.wrt[0] if len(self.wrt) == 1 else longer(shared)
        if len(shared[side]) == 1:
            side = 1 - side
        if len(shared[side]) == 1:
            return None
        (g,), parts = own, []
        for half in half_spans(len(shared[side])):
            images = tuple(x[half] if i == side else x for i, x in enumerate(shared))
            parts.append((self, images, (g[half] if side == 0 else g[:, half],)))

        def join(results: Sequence[Arrays]) -> Arrays:
            return tuple(
                np.concatenate([a, b]) if i == side else a + b
                for i, a, b in zip(self.wrt, *results, strict=True)
            )

        return Halves(tuple(parts), join)

    def describe(self, shared: Types, own: Types) -> str:
        """Return how many images it is about."""
        return describe_images("kernel block's derivative", shared)
