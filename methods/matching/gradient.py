"""Gradient matching: synthetic images on which networks are moved as by real ones.

    minimise  E_theta sum_c D( grad l(S_c; theta), grad l(B_c; theta) )

over networks of every age on the set. As published one network lives through its matching steps
while the images change under it (`alternate`). Else each step takes fresh networks and brings them
to a random age on the images of now: its networks are independent tasks, and a network's past is
always that of the images as they are.
"""

import numpy as np

from stillhouse.data.sampling import rng_for
from stillhouse.methods.matching.algorithm import Found, MatchingState
from stillhouse.methods.matching.by_class import ClassMatching
from stillhouse.methods.matching.gradient_settings import DcSettings
from stillhouse.methods.programs import GradientMatch, TrainOnSet
from stillhouse.methods.programs.program import Arrays
from stillhouse.methods.tasks import Task


class GradientMatching(ClassMatching):
    """DC and DSA as an `Algorithm`.

    References:
        Zhao, Mopuri, Bilen. Dataset Condensation with Gradient Matching. ICLR 2021,
        https://arxiv.org/abs/2006.05929
        Zhao, Bilen. Dataset Condensation with Differentiable Siamese Augmentation. ICML 2021,
        https://arxiv.org/abs/2102.08259
    """

    settings: DcSettings

    def program(self, classes: tuple[int, ...]) -> GradientMatch:
        """Return what compares the gradients of some classes."""
        num_classes = self.problem.dataset.num_classes
        return GradientMatch(self.settings.spec, num_classes, classes, self.settings.siamese)

    def find(self, state: MatchingState, step: int) -> Found:
        """Return the distance in networks of random age, or in the one that lives."""
        outer, inner = self.settings.loops(len(state.images) // self._classes)
        if self.settings.alternate:
            return self._with_the_living(state, step, outer, inner)
        samples = range(self.settings.networks)
        ages = rng_for(self.problem.seed, "ages", step).integers(outer, size=len(samples)) * inner
        seeds = [self.number("network", step, sample) for sample in samples]
        old = [sample for sample in samples if ages[sample]]
        tasks = [
            self._training(state, int(ages[n]), seeds[n], (), self.number("train", step, n))
            for n in old
        ]
        trained = dict(zip(old, self.problem.runner.results(tasks), strict=True))
        return self.match(state, step, [(seeds[n], trained.get(n, ())) for n in samples])

    def _with_the_living(self, state: MatchingState, step: int, outer: int, inner: int) -> Found:
        """Match in one network, which first learns from the images of now, unless it is new."""
        age = (step - 1) % outer
        seed = self.number("network", (step - 1) // outer)
        weights: Arrays = ()
        if age:
            before = (state.carried["weights"],) if "weights" in state.carried else ()
            task = self._training(state, inner, seed, before, self.number("train", step))
            (weights,) = self.problem.runner.results([task])
        found = self.match(state, step, [(seed, weights)])
        carried = {"weights": weights[0]} if weights and age + 1 < outer else {}
        return Found(found.loss, found.gradients, carried)

    def _training(
        self, state: MatchingState, steps: int, seed: int, weights: Arrays, order: int
    ) -> Task:
        settings = self.settings
        program = TrainOnSet(
            settings.spec, steps, settings.network_rate, settings.network_batch, settings.siamese
        )
        own = (np.array([seed, order], np.int64),)
        return Task(program, (state.images, state.labels, *weights), own)
