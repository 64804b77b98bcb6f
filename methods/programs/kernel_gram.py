"""The kernel of images with themselves."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.programs.context import Context
from stillhouse.methods.programs.image_sets import (
    block_of,
    check_images,
    check_nothing_own,
    describe_images,
    half_spans,
    triangle_of,
)
from stillhouse.methods.programs.kernel_block import KernelBlock
from stillhouse.methods.programs.program import (
    KERNEL_ELEMENTS,
    Arrays,
    ArrayType,
    Halves,
    Program,
    Types,
)
from stillhouse.methods.programs.registry import register


@register("kernel_gram")
@dataclasses.dataclass(frozen=True)
class KernelGram(Program):
    """K(x, x), symmetric: shared x float32 `[n, h, w, c]`; the result is float32 `[n, n]`.

    Attributes:
        spec: the kernel.
    """

    unit: ClassVar[str] = KERNEL_ELEMENTS

    spec: KernelSpec

    def check(self, shared: Types, own: Types) -> None:
        """Check that there is one set of images, and nothing else."""
        check_images("kernel gram", shared, 1)
        check_nothing_own("kernel gram", own)

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the type of K."""
        return (ArrayType(block_of(shared)),)

    def work(self, shared: Types, own: Types) -> int:
        """Return the elements of the upper triangle."""
        return triangle_of(shared)

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Return K."""
        return (context.kernel(self.spec).gram(*shared),)

    def halves(self, shared: Arrays, own: Arrays) -> Halves | None:
        """Return two smaller ones on the diagonal, and the block between them."""
        (x,) = shared
        if len(x) == 1:
            return None
        top, bottom = half_spans(len(x))

        def join(results: Sequence[Arrays]) -> Arrays:
            first, second, between = (result[0] for result in results)
            whole = np.empty((len(x), len(x)), np.float32)
            whole[top, top], whole[bottom, bottom] = first, second
            whole[top, bottom], whole[bottom, top] = between, between.T
            return (whole,)

        between = KernelBlock(self.spec), (x[top], x[bottom]), ()
        return Halves(((self, (x[top],), ()), (self, (x[bottom],), ()), between), join)

    def describe(self, shared: Types, own: Types) -> str:
        """Return how many images it is about."""
        return describe_images("kernel gram", shared)
