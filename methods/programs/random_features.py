"""Random features of images, and their derivative."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from stillhouse.kernels.spec import KernelSpec
from stillhouse.kernels.threads import default_threads
from stillhouse.methods.kernel_regression.feature_layers import Width, feature_layers
from stillhouse.methods.programs.context import Context
from stillhouse.methods.programs.image_sets import check_images, describe_images, half_spans
from stillhouse.methods.programs.program import (
    PASSES,
    Arrays,
    ArrayType,
    Halves,
    Program,
    Typed,
    Types,
)
from stillhouse.methods.programs.registry import register

if TYPE_CHECKING:
    from stillhouse.methods.kernel_regression.random_features import RandomFeatures as Networks

_SEED = [((1,), np.dtype(np.int64))]


@register("random_features")
@dataclasses.dataclass(frozen=True)
class RandomFeatures(Program):
    """The features of images by a random network: of each shared set float32 `[n, d]`.

    Shared are one or more sets, float32 `[n, h, w, c]`; own is the network's seed, int64 `[1]`.

    Attributes:
        spec: whose architecture the network has; its kind of kernel does not matter.
        width: of all layers of the network, or of each.
    """

    unit: ClassVar[str] = PASSES

    spec: KernelSpec
    width: Width

    def check(self, shared: Types, own: Types) -> None:
        """Check that there are sets of images, and a seed."""
        check_images("set of random features", shared, max(len(shared), 1))
        if [(tuple(x.shape), x.dtype) for x in own] != _SEED:
            raise ValueError("random features take the seed of the network as their own, int64 [1]")

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the types of the features of each set."""
        return tuple(ArrayType((x.shape[0], _size(self, x))) for x in shared)

    def work(self, shared: Types, own: Types) -> int:
        """Return the passes: a third for each image, which goes forward only."""
        return -(-sum(x.shape[0] for x in shared) // 3)

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Return the features of each set."""
        networks = _networks(context, self, shared[0])
        seed = int(own[0][0])
        return tuple(networks.features(seed, x) for x in shared)

    def side_by_side(self, context: Context) -> bool:
        """Return whether a processor computes: tasks of few images have nothing to share out."""
        return _on_processor(context, self)

    def halves(self, shared: Arrays, own: Arrays) -> Halves | None:
        """Return the sets one by one, or two halves of a single one."""
        if len(shared) > 1:
            return Halves(tuple((self, (x,), own) for x in shared), _flat)
        (images,) = shared
        if len(images) == 1:
            return None
        parts = tuple((self, (images[half],), own) for half in half_spans(len(images)))
        return Halves(parts, _joined)

    def describe(self, shared: Types, own: Types) -> str:
        """Return how many images it is about."""
        return describe_images("random features", shared)


@register("random_features_vjp")
@dataclasses.dataclass(frozen=True)
class RandomFeaturesVjp(Program):
    """The gradient of sum(g * features) by the images: float32 `[n, h, w, c]`.

    Shared is a set, float32 `[n, h, w, c]`; own are the network's seed, int64 `[1]`, and the
    cotangent g, float32 `[n, d]`.

    Attributes:
        spec: as of `RandomFeatures`.
        width: as of `RandomFeatures`.
    """

    unit: ClassVar[str] = PASSES

    spec: KernelSpec
    width: Width

    def check(self, shared: Types, own: Types) -> None:
        """Check that there is one set of images, a seed, and a cotangent of its features."""
        check_images("derivative of random features", shared, 1)
        expected = [*_SEED, ((shared[0].shape[0], _size(self, shared[0])), np.dtype(np.float32))]
        if [(tuple(x.shape), x.dtype) for x in own] != expected:
            raise ValueError(
                "the derivative of random features takes the seed of the network, int64 [1], and "
                f"a cotangent float32 {list(expected[1][0])}"
            )

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the type of the gradient."""
        return (ArrayType(shared[0].shape),)

    def work(self, shared: Types, own: Types) -> int:
        """Return the passes: one for each image."""
        return shared[0].shape[0]

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Return the gradient."""
        networks = _networks(context, self, shared[0])
        return (networks.pull_back(int(own[0][0]), shared[0], own[1]),)

    def side_by_side(self, context: Context) -> bool:
        """Return whether a processor computes: tasks of few images have nothing to share out."""
        return _on_processor(context, self)

    def halves(self, shared: Arrays, own: Arrays) -> Halves | None:
        """Return the derivatives of two halves of the images."""
        (images,), (seed, g) = shared, own
        if len(images) == 1:
            return None
        parts = tuple((self, (images[half],), (seed, g[half])) for half in half_spans(len(images)))
        return Halves(parts, _joined)

    def describe(self, shared: Types, own: Types) -> str:
        """Return how many images it is about."""
        return describe_images("derivative of random features", shared)


def _networks(
    context: Context, program: RandomFeatures | RandomFeaturesVjp, x: Typed
) -> "Networks":
    """Return the networks, on the device that computes the context's kernels."""
    # JAX is not needed to name a program.
    from stillhouse.methods.kernel_regression.random_features import random_features

    on_cpu = _on_processor(context, program)
    threads = context.threads or default_threads()
    return random_features(program.spec.architecture, program.width, _shape(x), on_cpu, threads)


def _on_processor(context: Context, program: RandomFeatures | RandomFeaturesVjp) -> bool:
    return context.kernel(program.spec).backend == "fused"


def _shape(x: Typed) -> tuple[int, int, int]:
    h, w, c = x.shape[1:]
    return h, w, c


def _size(program: RandomFeatures | RandomFeaturesVjp, x: Typed) -> int:
    return feature_layers(program.spec.architecture, program.width, _shape(x)).size


def _flat(results: Sequence[Arrays]) -> Arrays:
    return tuple(array for result in results for array in result)


def _joined(results: Sequence[Arrays]) -> Arrays:
    return (np.concatenate(_flat(results)),)
