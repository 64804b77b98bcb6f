"""How far the features of synthetic images are from those of real ones."""

import dataclasses
import math
from typing import TYPE_CHECKING

from stillhouse.methods.programs.class_match import ClassMatch, Matching
from stillhouse.methods.programs.program import Types
from stillhouse.methods.programs.registry import register

if TYPE_CHECKING:
    from stillhouse.networks.network import Network


@register("distribution_match")
@dataclasses.dataclass(frozen=True)
class DistributionMatch(ClassMatch):
    """The squared distance of the mean features of each class, and its gradient: a `ClassMatch`."""

    def work(self, shared: Types, own: Types) -> int:
        """Return the passes: one for a synthetic image, a third for a real one."""
        return shared[0].shape[0] + math.ceil(shared[1].shape[0] / 3)

    def matching(self, image_shape: tuple[int, int, int]) -> tuple["Network", Matching]:
        """Return the network, and what compares features."""
        from stillhouse.networks.feature_matching import feature_matching

        return feature_matching(
            self.network, image_shape, self.num_classes, self.augmentation is not None
        )
