"""The kernel of images with others."""

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


@register("kernel_block")
@dataclasses.dataclass(frozen=True)
class KernelBlock(Program):
    """K(x1, x2): shared x1, x2 float32 `[n, h, w, c]`; the result is float32 `[n1, n2]`.

    Attributes:
        spec: the kernel.
    """

    unit: ClassVar[str] = KERNEL_ELEMENTS

    spec: KernelSpec

    def check(self, shared: Types, own: Types) -> None:
        """Check that there are two sets of images, and nothing else."""
        check_images("kernel block", shared, 2)
        check_nothing_own("kernel block", own)

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the type of K."""
        return (ArrayType(block_of(shared)),)

    def work(self, shared: Types, own: Types) -> int:
        """Return the elements of the block."""
        n1, n2 = block_of(shared)
        return n1 * n2

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Return K."""
        return (context.kernel(self.spec).block(*shared),)

    def halves(self, shared: Arrays, own: Arrays) -> Halves | None:
        """Return two blocks, cut along the longer side."""
        side = longer(shared)
        if len(shared[side]) == 1:
            return None
        parts = []
        for half in half_spans(len(shared[side])):
            images = tuple(x[half] if i == side else x for i, x in enumerate(shared))
            parts.append((self, images, ()))

        def join(results: Sequence[Arrays]) -> Arrays:
            return (np.concatenate([result[0] for result in results], axis=side),)

        return Halves(tuple(parts), join)

    def describe(self, shared: Types, own: Types) -> str:
        """Return how many images it is about."""
        return describe_images("kernel block", shared)
