"""What programs have in common that compare synthetic and real images class by class."""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from stillhouse.data.siamese import SiameseAugmentation
from stillhouse.methods.programs.context import Context
from stillhouse.methods.programs.image_sets import check_images, half_spans
from stillhouse.methods.programs.program import (
    PASSES,
    Arrays,
    ArrayType,
    Halves,
    Program,
    Types,
)
from stillhouse.networks import NetworkSpec, build_network

if TYPE_CHECKING:
    from stillhouse.networks.network import Network

Matching = Callable[..., tuple[Any, Any]]


@dataclasses.dataclass(frozen=True)
class ClassMatch(Program):
    """A distance of synthetic from real images in a network, summed over classes, and its gradient.

    Shared are the synthetic images `[s, h, w, c]` and the real ones `[t, h, w, c]`, both float32,
    as many of each class, in the order of `classes`; and the packed weights of the network, float32
    `[size]`, where they are not random. Own are int64 `[2]`: the seed of random weights, and the
    seed of the augmentation.

    The results are the distance of each class, float64 `[classes]`, and the gradient of their sum
    by the synthetic images, float32 `[s, h, w, c]`.

    Attributes:
        network: through what they are compared.
        num_classes: its outputs k.
        classes: the numbers of the classes.
        augmentation: what happens to both sets of a class alike; None for nothing.

    Raises:
        ValueError: if there are no classes.
    """

    unit: ClassVar[str] = PASSES

    network: NetworkSpec
    num_classes: int
    classes: tuple[int, ...]
    augmentation: SiameseAugmentation | None = None

    def __post_init__(self) -> None:
        if not self.classes:
            raise ValueError("`classes` must name one at least")

    def check(self, shared: Types, own: Types) -> None:
        """Check that there are images of all classes, perhaps weights, and two seeds."""
        what = f"match of {len(self.classes)} classes"
        check_images(what, shared[:2], 2)
        for x in shared[:2]:
            if x.shape[0] % len(self.classes) or not x.shape[0]:
                raise ValueError(f"a {what} takes as many images of each, got {x.shape[0]}")
        if len(shared) > 3:
            raise ValueError(f"a {what} takes images and weights, got {len(shared)} arrays")
        for weights in shared[2:]:
            size = self._network_size(shared)
            if tuple(weights.shape) != (size,) or weights.dtype != np.float32:
                raise ValueError(
                    f"weights must be float32 [{size}], got {weights.dtype} {list(weights.shape)}"
                )
        if [(tuple(x.shape), x.dtype) for x in own] != [((2,), np.dtype(np.int64))]:
            raise ValueError(f"a {what} takes two seeds as its own, int64 [2]")

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the types of the distances and of the gradient."""
        distances = ArrayType((len(self.classes),), np.dtype(np.float64))
        return distances, ArrayType(shared[0].shape)

    def halves(self, shared: Arrays, own: Arrays) -> Halves | None:
        """Return two matches, of the first and of the other classes."""
        if len(self.classes) == 1:
            return None
        parts = []
        for half in half_spans(len(self.classes)):
            program = dataclasses.replace(self, classes=self.classes[half])
            images = (np.concatenate(self._by_class(x)[half]) for x in shared[:2])
            parts.append((program, (*images, *shared[2:]), own))

        def join(results: Sequence[Arrays]) -> Arrays:
            return tuple(np.concatenate(halves) for halves in zip(*results, strict=True))

        return Halves(tuple(parts), join)

    def describe(self, shared: Types, own: Types) -> str:
        """Return how many images it is about."""
        return (
            f"{super().describe(shared, own)} of {shared[0].shape[0]} images with "
            f"{shared[1].shape[0]:,} real ones in a {self.network}"
        )

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Compare, one class after another: so many images stay in a processor's cache."""
        h, w, c = shared[0].shape[1:]
        network, match = self.matching((h, w, c))
        weights_seed, seed = (int(number) for number in own[0])
        params, state = network.unpack(shared[2]) if shared[2:] else network.init(weights_seed)
        found = [
            match(params, state, number, x_s, x_t, *self._draw(seed, number))
            for number, x_s, x_t in zip(
                self.classes, self._by_class(shared[0]), self._by_class(shared[1]), strict=True
            )
        ]
        distances = np.array([float(distance) for distance, _ in found])
        return distances, np.concatenate([np.asarray(gradient) for _, gradient in found])

    @abc.abstractmethod
    def matching(self, image_shape: tuple[int, int, int]) -> tuple["Network", Matching]:
        """Return the network, and what compares the images of a class and differentiates.

        It takes parameters, state, the number of the class, synthetic and real images and, with an
        augmentation, the kind and the numbers of its draw.
        """

    def _draw(self, seed: int, number: int) -> tuple[np.ndarray, ...]:
        if self.augmentation is None:
            return ()
        draw = self.augmentation.draw(seed, "class", number)
        return draw.kind, draw.numbers

    def _by_class(self, images: np.ndarray) -> np.ndarray:
        """Return images `[classes, n, h, w, c]`."""
        return images.reshape(len(self.classes), -1, *images.shape[1:])

    def _network_size(self, shared: Types) -> int:
        h, w, c = shared[0].shape[1:]
        return build_network(self.network, (h, w, c), self.num_classes).size
