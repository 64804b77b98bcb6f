"""What trained networks answer for images."""

import dataclasses
import math
from typing import ClassVar

import numpy as np

from stillhouse.data.transforms import transform_from_arrays
from stillhouse.methods.programs.context import Context
from stillhouse.methods.programs.program import PASSES, Arrays, ArrayType, Program, Types
from stillhouse.methods.programs.registry import register
from stillhouse.networks import NetworkSpec, build_network
from stillhouse.networks.objective import Objective


@register("predict_classes")
@dataclasses.dataclass(frozen=True)
class PredictClasses(Program):
    """The class that each of some networks answers for each image: int32 `[t, n]`.

    Shared are raw images `[n, h, w, c]`, packed weights float32 `[t, size]`, such as those of one
    network along its training, and the arrays of the transform.

    Attributes:
        network: which network takes the weights.
        num_classes: its outputs k.
        transform: the kind of the transform through which it sees images.
        transform_arrays: the names of the transform's arrays, in the order in which they come.
    """

    unit: ClassVar[str] = PASSES

    network: NetworkSpec
    num_classes: int
    transform: str
    transform_arrays: tuple[str, ...]

    def check(self, shared: Types, own: Types) -> None:
        """Check that there are images and weights that fit the network."""
        if len(shared) != 2 + len(self.transform_arrays) or len(own):
            raise ValueError(
                f"answers of networks take {2 + len(self.transform_arrays)} shared arrays and none "
                f"of their own, got {len(shared)} and {len(own)}"
            )
        images, weights = shared[:2]
        if len(images.shape) != 4:
            raise ValueError(f"images must be [n, h, w, c], got {list(images.shape)}")
        h, w, c = images.shape[1:]
        size = build_network(self.network, (h, w, c), self.num_classes).size
        if tuple(weights.shape[1:]) != (size,) or weights.dtype != np.float32:
            raise ValueError(
                f"weights must be float32 [t, {size}], got {weights.dtype} {list(weights.shape)}"
            )

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the type of the answers."""
        return (ArrayType((shared[1].shape[0], shared[0].shape[0]), np.dtype(np.int32)),)

    def work(self, shared: Types, own: Types) -> int:
        """Return the passes: a third for each answer."""
        return math.ceil(shared[1].shape[0] * shared[0].shape[0] / 3)

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Ask each network."""
        # JAX is not needed to name a program.
        from stillhouse.networks.descent import predicted, programs_for

        images, weights, *rest = shared
        transform = transform_from_arrays(
            self.transform, dict(zip(self.transform_arrays, rest, strict=True))
        )
        h, w, c = images.shape[1:]
        programs = programs_for(self.network, Objective(), (h, w, c), self.num_classes)
        seen = transform.apply(images)  # Once for all networks.
        found = [predicted(programs, *programs.network.unpack(one), seen) for one in weights]
        return (np.stack(found).astype(np.int32),)

    def describe(self, shared: Types, own: Types) -> str:
        """Return of how many networks, and for how many images."""
        return f"answers of {shared[1].shape[0]} {self.network} for {shared[0].shape[0]:,} images"
