"""A regression on the features of a network, its derivatives by the set, and a step on the set."""

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from stillhouse.methods.programs.context import Context
from stillhouse.methods.programs.program import PASSES, Arrays, ArrayType, Program, Types
from stillhouse.methods.programs.registry import register
from stillhouse.networks import NetworkSpec, build_network
from stillhouse.networks.objective import Objective

if TYPE_CHECKING:
    from stillhouse.networks.descent import Programs

OBJECTIVE = Objective("mse", 0.0, "adam", 0.0)
"""What a step of the network makes smaller, and how."""


@register("feature_regression")
@dataclasses.dataclass(frozen=True)
class FeatureRegression(Program):
    """The loss of kernel ridge regression on a network's features, its derivatives, a step on it.

    Shared are the set's images float32 `[s, h, w, c]` and labels float32 `[s, k]`, targets float32
    `[t, h, w, c]` and their labels float32 `[t, k]`, and, unless it is new, the network, float32
    `[3, size]`: its packed weights and both moments of Adam. Own is int64 `[2]`: the seed of the
    weights of a new one, and how many steps it has taken.

    The results are float64 `[2]`, loss and accuracy on the targets; the derivatives of the loss by
    images and labels, float32 of their shapes; and the network after one more step of Adam on the
    squared error of all images of the set, float32 `[3, size]`.

    It cannot be halved: loss and derivatives are of the sum over all targets.

    Attributes:
        network: which network.
        regularisation: the ridge as a share of the mean diagonal of K_ss.
        learning_rate: of the network's step.
        mirror: let the regression have the mirror image of each image of the set too.

    Raises:
        ValueError: if a number is out of its range.
    """

    unit: ClassVar[str] = PASSES

    network: NetworkSpec
    regularisation: float
    learning_rate: float
    mirror: bool = False

    def __post_init__(self) -> None:
        if not self.regularisation >= 0:
            raise ValueError(f"`regularisation` must not be negative, got {self.regularisation}")
        if not self.learning_rate > 0:
            raise ValueError(f"`learning_rate` must be positive, got {self.learning_rate}")

    def check(self, shared: Types, own: Types) -> None:
        """Check that there are a set, targets, perhaps a network, a seed and an age."""
        if len(shared) not in (4, 5):
            raise ValueError(
                "a regression on features takes a set, targets and perhaps a network, got "
                f"{len(shared)} arrays"
            )
        x_s, y_s, x_t, y_t = shared[:4]
        for x, y in ((x_s, y_s), (x_t, y_t)):
            if len(x.shape) != 4 or len(y.shape) != 2 or y.shape[0] != x.shape[0]:
                raise ValueError(
                    "images [n, h, w, c] and labels [n, k] belong together, got "
                    f"{list(x.shape)} and {list(y.shape)}"
                )
        if x_s.shape[1:] != x_t.shape[1:] or y_s.shape[1] != y_t.shape[1]:
            raise ValueError("set and targets must have images of one size, and as many classes")
        if any(array.dtype != np.float32 for array in shared):
            raise ValueError("a regression on features takes float32")
        for network in shared[4:]:
            *_, expected = self.results(shared, own)
            if tuple(network.shape) != expected.shape:
                raise ValueError(f"a network must be {expected}, got {list(network.shape)}")
        if [(tuple(x.shape), x.dtype) for x in own] != [((2,), np.dtype(np.int64))]:
            raise ValueError(
                "a regression on features takes a seed and an age as its own, int64 [2]"
            )

    def results(self, shared: Types, own: Types) -> tuple[ArrayType, ...]:
        """Return the types of loss and accuracy, of both derivatives, and of the network."""
        h, w, c = shared[0].shape[1:]
        size = build_network(self.network, (h, w, c), shared[1].shape[1]).size
        values = ArrayType((2,), np.dtype(np.float64))
        return values, ArrayType(shared[0].shape), ArrayType(shared[1].shape), ArrayType((3, size))

    def work(self, shared: Types, own: Types) -> int:
        """Return the passes: a third for an image forward, one for one back or in the step."""
        support, targets = shared[0].shape[0], shared[2].shape[0]
        regressed = 2 * support if self.mirror else support
        return -(-(targets + 4 * regressed) // 3) + support

    def compute(self, context: Context, shared: Arrays, own: Arrays) -> Arrays:
        """Regress, go back to the set, and let the network learn from it."""
        from stillhouse.methods.kernel_regression.feature_regression import (
            feature_programs,
            regress_on_features,
        )
        from stillhouse.networks.descent import programs_for

        images, labels, x_t, y_t, *network = shared
        h, w, c = images.shape[1:]
        shape, k = (h, w, c), labels.shape[1]
        training = programs_for(self.network, OBJECTIVE, shape, k)
        seed, age = (int(number) for number in own[0])
        params, state, moments = _begun(training, seed, age, *network)
        found = regress_on_features(
            *(feature_programs(self.network, shape, k), params, state),
            *(images, labels, x_t, y_t),
            regularisation=self.regularisation,
            mirror=self.mirror,
        )
        rate = np.float32(self.learning_rate)
        params, moments, state, _ = training.step(params, moments, state, rate, images, labels)
        pack = training.network.pack
        after = np.stack([pack(tree, state) for tree in (params, moments.mu, moments.nu)])
        values = np.array([found.loss, found.accuracy])
        return values, found.images, found.labels, after

    def describe(self, shared: Types, own: Types) -> str:
        """Return in what, and on how many images."""
        return (
            f"regression on the features of a {self.network}, {shared[0].shape[0]} images with "
            f"{shared[2].shape[0]:,} targets"
        )


def _begun(
    training: "Programs", seed: int, age: int, network: np.ndarray | None = None
) -> tuple[object, object, object]:
    """Return parameters, state and moments of Adam: those of a new network, or as they came."""
    if network is None:
        params, state = training.network.init(seed)
        return params, state, training.optimiser.init(params)
    params, state = training.network.unpack(network[0])
    first, second = (training.network.unpack(moment)[0] for moment in network[1:])
    begun = training.optimiser.init(params)
    return params, state, begun._replace(count=np.int32(age), mu=first, nu=second)
