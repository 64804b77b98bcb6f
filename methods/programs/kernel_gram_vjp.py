"""The derivative of the kernel of images with themselves."""

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
    triangle_of,
)
from stillhouse.methods.programs.kernel_block_vjp import KernelBlockVjp
from stillhouse.methods.programs.program import (
    KERNEL_ELEMENTS,
    Arrays,
    ArrayType,
    Halves,
    Program,
    Types,
)
from stillhouse.methods.programs.registry import register


@register("kernel_gram_vjp")
@dataclasses.dataclass(frozen=True)
class KernelGramVjp(Program):
    """The gradient of sum(g * K(x, x)) by x, which meets itself on the diagonal.

    Shared is x, float32 `[n, h, w, c]`; own is the cotangent g, float32 `[n, n]`, which need not be
    symmetric. The result is float32 `[n, h, w, c]`.

    Attributes:
        spec: the kernel.
    """

    unit: ClassVar[str] = KERNEL_ELEMENTS

    spec: KernelSpec

    def check(self, shared: Types, own: Types) -> None:
        """Check that there is one set of images, and the cotangent of their square."""
        check_images("kernel gram's derivative", shared, 1)
        check_cotangent("kernel gram's derivative", own, block_of(shared))

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the type of the gradient."""
        return (ArrayType(shared[0].shape),)

    def work(self, shared: Types, own: Types) -> int:
        """Return the elements of the upper triangle."""
        return triangle_of(shared)

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Return the gradient."""
        (x,), (g,) = shared, own
        return (context.kernel(self.spec).gram_vjp(x, g),)

    def halves(self, shared: Arrays, own: Arrays) -> Halves | None:
        """Return two smaller ones on the diagonal, and the derivative of the block between."""
        (x,), (g,) = shared, own
        if len(x) == 1:
            return None
        top, bottom = half_spans(len(x))

        def join(results: Sequence[Arrays]) -> Arrays:
            (first,), (second,), between = results
            whole = np.concatenate([first, second])
            for half, part in zip((top, bottom), between, strict=True):
                whole[half] += part
            return (whole,)

        both = g[top, bottom] + g[bottom, top].T
        between = KernelBlockVjp(self.spec, (0, 1)), (x[top], x[bottom]), (both,)
        squares = ((self, (x[half],), (g[half, half],)) for half in (top, bottom))
        return Halves((*squares, between), join)

    def describe(self, shared: Types, own: Types) -> str:
        """Return how many images it is about."""
        return describe_images("kernel gram's derivative", shared)
