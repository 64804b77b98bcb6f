"""How the loss of a network on a set of images bends at its weights."""

import dataclasses
from typing import ClassVar

import numpy as np

from stillhouse.data.transforms import transform_from_arrays
from stillhouse.methods.programs.context import Context
from stillhouse.methods.programs.labelled_images import (
    check_labelled,
    check_transform_arrays,
    check_weights,
)
from stillhouse.methods.programs.program import PASSES, Arrays, ArrayType, Program, Types
from stillhouse.methods.programs.registry import register
from stillhouse.networks import NetworkSpec

# A product of the Hessian with a vector: a gradient, and its derivative along that vector.
_PASSES_OF_PRODUCT = 3
# About as many products as Lanczos iterations take.
_PRODUCTS_OF_EIGENVALUE = 30


@register("loss_curvature")
@dataclasses.dataclass(frozen=True)
class LossCurvature(Program):
    """The Hessian, by the parameters, of the mean cross entropy of a network on images.

    Shared are raw images `[n, h, w, c]` and their classes int64 `[n]`, packed weights float32
    `[size]`, and the arrays of the transform. Own is the seed of the probes, int64 `[1]`.

    The results are float64 `[probes]`, v^T H v for random signs v, whose mean estimates the trace;
    the loss, float64 `[1]`; and where it is asked for the largest eigenvalue, float64 `[1]`.

    Attributes:
        network: which network takes the weights.
        num_classes: its outputs k.
        probes: how many vectors v.
        eigenvalue: whether to find the largest eigenvalue.
        transform: the kind of the transform through which it sees images.
        transform_arrays: the names of the transform's arrays, in the order in which they come.

    Raises:
        ValueError: if there are fewer than two probes, which have no standard error.
    """

    unit: ClassVar[str] = PASSES

    network: NetworkSpec
    num_classes: int
    probes: int
    eigenvalue: bool
    transform: str
    transform_arrays: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.probes < 2:
            raise ValueError(f"`probes` must be 2 or more, got {self.probes}")

    def check(self, shared: Types, own: Types) -> None:
        """Check that there are images, classes, weights that fit, and a seed."""
        check_transform_arrays("curvature", shared, 3, self.transform_arrays)
        images, classes, weights = shared[:3]
        check_labelled(images, classes)
        check_weights(weights, self.network, images.shape[1:], self.num_classes)
        if [(tuple(x.shape), x.dtype) for x in own] != [((1,), np.dtype(np.int64))]:
            raise ValueError("curvature takes the seed of its probes as its own, int64 [1]")

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the types of the samples, the loss and the eigenvalue."""
        sizes = (self.probes, 1, 1) if self.eigenvalue else (self.probes, 1)
        return tuple(ArrayType((size,), np.dtype(np.float64)) for size in sizes)

    def work(self, shared: Types, own: Types) -> int:
        """Return the passes: three for each image of each product."""
        products = self.probes + (_PRODUCTS_OF_EIGENVALUE if self.eigenvalue else 0)
        return _PASSES_OF_PRODUCT * products * shared[0].shape[0]

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Multiply the Hessian by each probe."""
        # JAX is not needed to name a program.
        from stillhouse.networks.curvature import LossSurface, largest_eigenvalue, trace_samples

        images, classes, weights, *rest = shared
        arrays = dict(zip(self.transform_arrays, rest, strict=True))
        seen = transform_from_arrays(self.transform, arrays).apply(images)
        targets = np.eye(self.num_classes, dtype=np.float32)[classes]
        surface = LossSurface(self.network, weights, seen, targets)
        samples = trace_samples(surface.product, surface.size, self.probes, int(own[0][0]))
        found = [samples, np.array([surface.value()])]
        if self.eigenvalue:
            found.append(np.array([largest_eigenvalue(surface.product, surface.size)]))
        return tuple(found)

    def describe(self, shared: Types, own: Types) -> str:
        """Return of which network, and on how many images."""
        return f"curvature of the loss of a {self.network} on {shared[0].shape[0]:,} images"
