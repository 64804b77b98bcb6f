"""What the last layer of a trained network sees of images."""

import dataclasses
import math
from typing import ClassVar

import numpy as np

from stillhouse.data.transforms import transform_from_arrays
from stillhouse.methods.programs.context import Context
from stillhouse.methods.programs.labelled_images import check_transform_arrays, check_weights
from stillhouse.methods.programs.program import PASSES, Arrays, ArrayType, Program, Types
from stillhouse.methods.programs.registry import register
from stillhouse.networks import NetworkSpec, build_network

_BATCH = 250


@register("network_features")
@dataclasses.dataclass(frozen=True)
class NetworkFeatures(Program):
    """The features of images before the last layer of a network, float32 `[n, d]`.

    Shared are raw images `[n, h, w, c]`, packed weights float32 `[size]`, and the arrays of the
    transform.

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
        """Check that there are images, and weights that fit."""
        check_transform_arrays("features", shared, 2, self.transform_arrays)
        images, weights = shared[:2]
        if len(images.shape) != 4 or own:
            raise ValueError(
                f"features are of images [n, h, w, c] and take nothing of their own, got "
                f"{list(images.shape)} and {len(own)} arrays"
            )
        check_weights(weights, self.network, images.shape[1:], self.num_classes)

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the type of the features."""
        h, w, c = shared[0].shape[1:]
        layout = build_network(self.network, (h, w, c), self.num_classes).layout
        # The last layer is dense, and its weights are [k, d].
        widths = [shape[1] for _, shape in layout if shape[:1] == (self.num_classes,) and shape[1:]]
        return (ArrayType((shared[0].shape[0], widths[-1])),)

    def work(self, shared: Types, own: Types) -> int:
        """Return the passes: a third for each image."""
        return math.ceil(shared[0].shape[0] / 3)

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Run the network but for its last layer."""
        import jax

        from stillhouse.data.arrays import slices

        images, weights, *rest = shared
        arrays = dict(zip(self.transform_arrays, rest, strict=True))
        transform = transform_from_arrays(self.transform, arrays)
        h, w, c = images.shape[1:]
        network = build_network(self.network, (h, w, c), self.num_classes)
        params, state = network.unpack(weights)

        @jax.jit
        def features(x: jax.Array) -> jax.Array:
            return network.features(params, state, x, training=False)[0]

        parts = []
        for part in slices(len(images), _BATCH):
            shown = transform.apply(images[part])
            filled = np.zeros((min(_BATCH, len(images)), h, w, c), np.float32)
            filled[: len(shown)] = shown
            parts.append(np.asarray(features(filled))[: len(shown)])
        return (np.concatenate(parts).astype(np.float32),)

    def describe(self, shared: Types, own: Types) -> str:
        """Return of which network, and of how many images."""
        return f"features of {shared[0].shape[0]:,} images in a {self.network}"
