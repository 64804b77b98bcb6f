"""How far the gradients on synthetic images are from those on real ones."""

import dataclasses
from typing import TYPE_CHECKING

from stillhouse.methods.programs.class_match import ClassMatch, Matching
from stillhouse.methods.programs.program import Types
from stillhouse.methods.programs.registry import register

if TYPE_CHECKING:
    from stillhouse.networks.network import Network

# A gradient, and the derivative of what is made of it.
SYNTHETIC_PASSES = 3


@register("gradient_match")
@dataclasses.dataclass(frozen=True)
class GradientMatch(ClassMatch):
    """The distance of the network's gradients on each class, and its gradient: a `ClassMatch`."""

    def work(self, shared: Types, own: Types) -> int:
        """Return the passes: one for a real image, three for a synthetic one."""
        return SYNTHETIC_PASSES * shared[0].shape[0] + shared[1].shape[0]

    def matching(self, image_shape: tuple[int, int, int]) -> tuple["Network", Matching]:
        """Return the network, and what compares gradients."""
        from stillhouse.networks.gradient_matching import gradient_matching

        return gradient_matching(
            self.network, image_shape, self.num_classes, self.augmentation is not None
        )
