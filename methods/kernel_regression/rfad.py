"""Random Feature Approximation Distillation: KIP with random features for the exact kernel.

The cost of a step goes with the sum of support set and target batch, where that of the exact kernel
goes with their product. Networks are drawn anew, so that what is learned is good for the kernel,
not for some networks.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from stillhouse.data.batches import TargetBatches
from stillhouse.data.sampling import rng_for
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.algorithm import Support
from stillhouse.methods.kernel_regression.evaluation import KrrScoring
from stillhouse.methods.kernel_regression.features import Features, FeatureTasks, network_seeds
from stillhouse.methods.kernel_regression.learned_support import LearnedSupport
from stillhouse.methods.kernel_regression.support_set import (
    RegressionConfig,
    SupportState,
    begin_support,
    descend,
    regress,
)


@dataclasses.dataclass(frozen=True)
class RfadConfig(RegressionConfig):
    """The parameters of RFAD.

    Attributes:
        spec: whose architecture the networks have.
        networks: how many a step has, N.
        redraw: steps after which networks are drawn anew; with cached groups, after which one of
            the groups is.
        cached_groups: how many groups of networks and target batches are kept, with the targets'
            features, one of which each step samples; 0 for new targets at each step.
        seed: of networks and of the sampling of groups.

    Raises:
        ValueError: if a value is out of its range.
    """

    spec: KernelSpec
    networks: int = 8
    redraw: int = 1
    cached_groups: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, low in (("networks", 1), ("redraw", 1), ("cached_groups", 0)):
            if getattr(self, name) < low:
                raise ValueError(f"`{name}` must be {low} or more, got {getattr(self, name)}")

    def group_of_step(self, step: int) -> int:
        """Return the group of the step after `step` steps: a function of (seed, step) alone.

        Groups are numbered as they come up: the first ones from 0, then one each `redraw` steps,
        which takes the place of the oldest.
        """
        if not self.cached_groups:
            return step // self.redraw
        newest = self.cached_groups - 1 + step // self.redraw
        age = rng_for(self.seed, "cached group", step).integers(self.cached_groups)
        return newest - int(age)

    def seeds(self, group: int) -> tuple[int, ...]:
        """Return the seeds of the networks of a group."""
        return network_seeds(self.seed, group, self.networks)


@dataclasses.dataclass(frozen=True)
class Rfad(LearnedSupport):
    """RFAD as an `Algorithm`.

    Attributes:
        config: its parameters.
        batches: the target batches.
        tasks: computes features.
        start: gives the images and labels to start from; called for a new run only.
        scoring: scores the support set, by the exact kernel.
        softmax_scale: of the labels to start from, as for `begin_support`.
        cache: the features and labels of the target batches of groups that are kept. They are
            functions of (seed, group), so no part of the state: a run that goes on makes them anew.

    References:
        Loo, Hasani, Amini, Rus. Efficient Dataset Distillation using Random Feature Approximation.
        NeurIPS 2022, https://arxiv.org/abs/2210.12067
    """

    config: RfadConfig
    batches: TargetBatches
    tasks: FeatureTasks
    start: Callable[[], Support]
    scoring: KrrScoring
    softmax_scale: float | None = None
    cache: dict[int, tuple[Features, np.ndarray]] = dataclasses.field(default_factory=dict)

    def begin(self) -> SupportState:
        """Return the state before the first step."""
        images, labels = self.start()
        images = self.config.corruption.of(images)
        return begin_support(self.config, images, labels, self.softmax_scale)

    def advance(self, state: SupportState, step: int) -> tuple[SupportState, dict[str, float]]:
        """Return the state after step `step`, and what it measured."""
        config = self.config
        group = config.group_of_step(state.step)
        seeds = config.seeds(group)
        if config.cached_groups:
            targets, y_t = self._kept(group, state.step)
            (support,) = self.tasks.features(seeds, state.images)
        else:
            x_t, y_t = self.batches.pixel_batch(state.step)
            support, targets = self.tasks.features(seeds, state.images, x_t)
        K_ss = self.tasks.kernel(support, support)
        ridge = regress(config, state, K_ss, self.tasks.kernel(targets, support), y_t)
        g = self.tasks.cotangents(ridge.g_ss, ridge.g_ts, support, targets)
        g_images = self.tasks.gradient(seeds, state.images, g)
        values = {"loss": ridge.loss, "accuracy": ridge.accuracy}
        return descend(config, state, ridge, g_images), values

    def _kept(self, group: int, step: int) -> tuple[Features, np.ndarray]:
        """Return the features of a group's target batch, and its labels."""
        if group not in self.cache:
            oldest = step // self.config.redraw
            for gone in [number for number in self.cache if number < oldest]:
                del self.cache[gone]
            x_t, y_t = self.batches.pixel_batch(group)
            (found,) = self.tasks.features(self.config.seeds(group), x_t)
            self.cache[group] = found, y_t
        return self.cache[group]
