"""The settings that all methods of kernel regression have."""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from stillhouse.data.dataset import Dataset
from stillhouse.data.recipes import KrrRecipe, Recipe
from stillhouse.kernels.spec import KernelSpec, Kind
from stillhouse.methods.architectures import ARCHITECTURES, build_architecture, default_depth
from stillhouse.methods.corruption import Corruption, check_corruption, corruption_option
from stillhouse.methods.costs import RunCost, step_elements
from stillhouse.methods.method import Method, Problem
from stillhouse.methods.options import at_least, changed, not_negative, option, positive
from stillhouse.methods.programs import Context
from stillhouse.methods.target_batch import target_batch_option, target_batch_size

if TYPE_CHECKING:
    from stillhouse.methods.kernel_regression.computer import KernelComputer
    from stillhouse.methods.kernel_regression.evaluation import KrrScoring
    from stillhouse.methods.kernel_regression.tiled import TiledComputer

KERNELS = ("ntk", "nngp")
TARGETS = 1000
_LOSSES = ("mse", "cross_entropy")


def loss_option() -> Any:
    """Declare the setting `loss` of a method that learns through kernel regression."""
    return option(
        "cross_entropy",
        "squared error of the predictions, or the cross entropy of their product with a learned "
        "scale",
        choices=_LOSSES,
    )


def check_labels_of(loss: str, learn_labels: bool, labels: np.ndarray) -> None:
    """Check that labels to start from, `[s, k]`, suit a loss.

    Raises:
        ValueError: if labels that stay as they are have no class, which a cross entropy needs.
    """
    if loss != "cross_entropy" or learn_labels:
        return
    flat = np.flatnonzero(np.ptp(labels, axis=1) == 0)
    if len(flat):
        raise ValueError(
            f"label {flat[0]} of the support set has no class, all its values are equal, and the "
            "loss cross_entropy with fixed labels needs one; learn the labels, or use mse"
        )


@dataclasses.dataclass(frozen=True)
class KernelSettings(Method):
    """Kernel regression.

    Attributes:
        architecture: the family of the network.
        depth: its depth; None for the family's own.
        kernel: which limit of the network.
        W_std: standard deviation of all weights.
        b_std: standard deviation of all biases.
        global_pool: end a convolutional network with a global average.
        target_batch: images a step learns from; None for 1,000 or as many as there are.
        regularisation: the ridge as a share of the mean diagonal of K_ss.
        corruption: the share of the pixels that stay noise.
        tile_elements: kernel elements of a task; None for what suits the kernel.
        workers_planned: choose these for so many workers; None to choose nothing.
        worker_speed: kernel elements that one of them computes in a second; None to measure here.
    """

    architecture: str = option("convnet", "the infinitely wide network", choices=ARCHITECTURES)
    depth: int | None = option(
        None, "its depth (default: 1 for fc, 5 for myrtle, 3 for the others)", check=at_least(1)
    )
    kernel: str = option("ntk", "its neural tangent kernel, or its NNGP kernel", choices=KERNELS)
    W_std: float = option(math.sqrt(2.0), "standard deviation of the weights", check=positive)
    b_std: float = option(0.1, "standard deviation of the biases", check=not_negative)
    global_pool: bool = option(False, "end with a global average pool (conv, convnet, convnet3)")
    target_batch: int | None = target_batch_option("1000")
    regularisation: float = option(
        1e-6, "ridge, as a share of the kernel's mean diagonal", check=not_negative
    )
    corruption: float = corruption_option()
    tile_elements: int | None = option(
        None,
        "kernel elements of a task, about; more for fast workers, fewer for many; part of what a "
        "run is (default: what a processor core computes in seconds)",
        check=at_least(16),
    )
    workers_planned: int | None = option(
        None,
        "choose --tile_elements, once, so that so many workers are the busiest",
        check=at_least(1),
    )
    worker_speed: float | None = option(
        None,
        "with --workers_planned: kernel elements that a worker computes in a second, there and "
        "back (default: as many as this machine does)",
        check=positive,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_corruption(self.corruption, getattr(self, "coordinates", "pixel"))

    def corrupted_by(self, problem: Problem) -> Corruption:
        """Return which pixels of the set are noise."""
        return Corruption(self.corruption, problem.seed)

    def kernels(self) -> dict[str, KernelSpec]:
        """Return the kernels, each under its family and depth; the first one is evaluated.

        Raises:
            ValueError: if there is no such architecture.
        """
        return {
            f"{name}:{depth}": self._spec(name, depth, self.global_pool)
            for name, depth in self._members()
        }

    def _members(self) -> tuple[tuple[str, int], ...]:
        depth = default_depth(self.architecture) if self.depth is None else self.depth
        return ((self.architecture, depth),)

    def _spec(self, name: str, depth: int, global_pool: bool) -> KernelSpec:
        architecture = build_architecture(
            name, depth, W_std=self.W_std, b_std=self.b_std, global_pool=global_pool
        )
        return KernelSpec(architecture, cast(Kind, self.kernel))

    def usual_targets(self, support: int) -> int:
        """Return how many real images a step has, where there are so many.

        Args:
            support: how many images the set has.
        """
        return TARGETS

    def batch_size(self, dataset: Dataset, support: int) -> int:
        """Return how many real images a step, and a chunk of an evaluation, has."""
        return target_batch_size(self.target_batch, self.usual_targets(support), dataset)

    def learns_through(self) -> tuple[str, ...]:
        """Return the networks whose kernels these are."""
        return tuple(self.kernels())

    def details(self) -> Mapping[str, Any]:
        """Return the kernels as JSON."""
        return {"kernels": {k: json.loads(spec.to_json()) for k, spec in self.kernels().items()}}

    def identity(self) -> dict[str, Any]:
        """Return what decides the bits of a result."""
        return {
            "architecture": ", ".join(self.kernels()),
            "kernel": self.kernel,
            "W_std": self.W_std,
            "b_std": self.b_std,
            "global_pool": self.global_pool,
            "regularisation": self.regularisation,
            **changed(self, "corruption", "tile_elements"),
        }

    def check_given(self, given: frozenset[str]) -> None:
        """Check flags that take each other's place, or need each other."""
        if {"tile_elements", "workers_planned"} <= given:
            raise ValueError(
                "`--tile_elements` and `--workers_planned` take each other's place; give one"
            )
        if "worker_speed" in given and "workers_planned" not in given:
            raise ValueError(
                "`--worker_speed` is that of the workers of --workers_planned: give both"
            )

    def recipe(self) -> Recipe:
        """Return KRR with the first kernel and the ridge."""
        return KrrRecipe(next(iter(self.kernels().values())), self.regularisation)

    def backend(self, context: Context) -> str:
        """Return the backend that computes the kernels."""
        backend, *_ = (context.kernel(spec).backend for spec in self.kernels().values())
        return backend

    def check_image(self, height: int, width: int) -> None:
        """Check that the images are large enough for every network."""
        for spec in self.kernels().values():
            spec.architecture.check_image(height, width)

    def with_final_scores(self, cost: RunCost, support: int, targets: int) -> RunCost:
        """Return the cost with that of the sample of training images that is scored at the end."""
        forward = cost.forward_elements + step_elements(support, targets)
        return dataclasses.replace(cost, forward_elements=forward)

    def computer(self, problem: Problem) -> "TiledComputer":
        """Return what computes the kernels of a problem, in tiles."""
        from stillhouse.methods.kernel_regression.tiled import TiledComputer

        return TiledComputer(problem.runner, self.tile_elements)

    def scoring(self, problem: Problem, computer: "KernelComputer") -> "KrrScoring":
        """Return what scores the set."""
        from stillhouse.methods.kernel_regression.evaluation import KrrScoring

        return KrrScoring(
            computer,
            self.kernels(),
            problem.plain,
            self.regularisation,
            should_stop=problem.should_stop,
        )
