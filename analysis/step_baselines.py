"""Real images in place of distilled ones: what the same number of gradient steps makes of them.

Each set of real images gives every step its images, as a distilled set does, and all steps one
rate, the best of a few on held-out training images. Beside it stand the nearest neighbours.

References:
    Wang, Zhu, Torralba, Efros. Dataset Distillation. 2018, https://arxiv.org/abs/1811.10959
    (section 4, the baselines)
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from stillhouse.analysis.baselines import baseline_set
from stillhouse.data.dataset import Dataset
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.recipes import StepsRecipe
from stillhouse.data.sampling import rng_for
from stillhouse.data.transforms import Transform
from stillhouse.methods.following_steps import follow_steps, rows_of_steps
from stillhouse.methods.keep_best import hold_out
from stillhouse.methods.scores import ACCURACY
from stillhouse.networks import NetworkSpec
from stillhouse.networks.pool import Pool

KINDS = ("random", "optimised", "kmeans", "average")
_MOST_HELD_OUT = 5000
_TUNING_NETWORKS = 3
_KMEANS_SETS = 3  # They take long to make, and hardly differ.
_NEIGHBOURS = (1, 3, 5, 7, 9)


@dataclasses.dataclass(frozen=True)
class StepsPlan:
    """The steps that every set is shown in.

    Attributes:
        network: which network.
        steps: T, the steps of an epoch.
        epochs: E.
        ipc: images of each class in a step.
        rates: those to choose from.
        draws: sets and networks that are tested.
        candidates: random sets of which the best is taken for "optimised".
        seed: of everything random.
    """

    network: NetworkSpec
    steps: int
    epochs: int
    ipc: int
    rates: tuple[float, ...]
    draws: int
    candidates: int
    seed: int = 0

    def size(self, num_classes: int) -> int:
        """Return the images of a set."""
        return self.steps * self.ipc * num_classes

    def recipe(self, rate: float, size: int, num_classes: int, pool: Pool | None) -> StepsRecipe:
        """Return the steps at a rate, from random weights or those of a pool."""
        start = {"initialisation": "any"} if pool is None else {
            "initialisation": "pool", "pool": pool.fingerprint
        }  # fmt: skip
        return StepsRecipe(
            self.network.to_dict(),
            step_sizes=(rate,) * self.steps,
            order=tuple(map(tuple, rows_of_steps(size, num_classes, self.steps).tolist())),
            epochs=self.epochs,
            **start,  # type: ignore[arg-type]
        )


@dataclasses.dataclass(frozen=True)
class Baseline:
    """The accuracies of a kind of set.

    Attributes:
        kind: of the set, one of `KINDS`.
        way: "gradient steps" or "nearest neighbours".
        chosen: the rate, or the number of neighbours.
        accuracies: on the test images, one a draw.
    """

    kind: str
    way: str
    chosen: float
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return float(np.mean(self.accuracies))

    @property
    def deviation(self) -> float:
        """Their standard deviation; 0 of one."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else 0.0


class StepBaselines:
    """The baselines of a dataset.

    Args:
        plan: the steps.
        dataset: the real images; a tenth of the training images is held out to choose by.
        transform: through which networks see them.
        pool: networks to start from; None for random weights.
        told: called after each network.

    Raises:
        ValueError: if a class has too few images.
    """

    def __init__(
        self,
        plan: StepsPlan,
        dataset: Dataset,
        transform: Transform,
        pool: Pool | None = None,
        told: Callable[[], object] = lambda: None,
    ) -> None:
        self._plan, self._pool, self._told = plan, pool, told
        self._learning, chosen_by = hold_out(dataset)
        rows = rng_for(plan.seed, "baselines held out").permutation(len(chosen_by.y_test))
        rows = rows[:_MOST_HELD_OUT]
        self._held = chosen_by.x_test[rows], chosen_by.y_test[rows]
        self._test = dataset.x_test, dataset.y_test
        self._transform, self._classes = transform, dataset.num_classes
        self._sets: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]] = {}

    def by_steps(self, kind: str) -> Baseline:
        """Return what gradient steps make of a kind of set.

        Raises:
            FloatingPointError: if no rate gives finite losses.
        """
        drawn = "random" if kind == "optimised" else kind
        rate = self._best_rate(drawn)
        if kind == "optimised":
            best = max(
                range(self._plan.candidates),
                key=lambda seed: self._held_out_accuracy(drawn, seed, rate),
            )
            seeds = [best] * self._plan.draws
        else:
            seeds = [self._set_seed(kind, draw) for draw in range(self._plan.draws)]
        found = [
            self._accuracy(self._set(drawn, seed), rate, self._test, first=100 + draw)
            for draw, seed in enumerate(seeds)
        ]
        return Baseline(kind, "gradient steps", rate, tuple(found))

    def by_neighbours(self, kind: str) -> Baseline:
        """Return what the nearest neighbours say, as many as are best on held-out images."""
        draws = self._plan.draws if kind == "random" else min(_KMEANS_SETS, self._plan.draws)
        images, classes = self._set(kind, 0)
        scores = {
            k: self._neighbours(k, images, classes, self._held)
            for k in _NEIGHBOURS
            if k <= len(images)
        }
        k = max(scores, key=lambda one: (scores[one], -one))
        found = [self._neighbours(k, *self._set(kind, seed), self._test) for seed in range(draws)]
        return Baseline(kind, "nearest neighbours", k, tuple(found))

    def _set_seed(self, kind: str, draw: int) -> int:
        return draw % _KMEANS_SETS if kind == "kmeans" else draw

    def _set(self, kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
        if (kind, seed) not in self._sets:
            size = self._plan.size(self._classes)
            mixed = int(rng_for(self._plan.seed, "baseline set", seed).integers(2**31))
            found = baseline_set(kind, self._learning, self._transform, size, seed=mixed)
            self._sets[kind, seed] = found
        return self._sets[kind, seed]

    def _best_rate(self, kind: str) -> float:
        scores = {rate: self._held_out_accuracy(kind, 0, rate) for rate in self._plan.rates}
        best = max(scores, key=lambda rate: scores[rate])
        if scores[best] < 0:
            raise FloatingPointError(
                f"no rate of {', '.join(map(str, self._plan.rates))} gives finite losses on "
                f"{kind} images; give lower ones"
            )
        return best

    def _held_out_accuracy(self, kind: str, seed: int, rate: float) -> float:
        """Return the mean accuracy of a few networks on held-out images; -1 where they diverge."""
        try:
            return float(
                np.mean(
                    [
                        self._accuracy(self._set(kind, seed), rate, self._held, first=network)
                        for network in range(_TUNING_NETWORKS)
                    ]
                )
            )
        except FloatingPointError:
            return -1.0

    def _accuracy(
        self,
        chosen: tuple[np.ndarray, np.ndarray],
        rate: float,
        shown: tuple[np.ndarray, np.ndarray],
        *,
        first: int,
    ) -> float:
        images, classes = chosen
        recipe = self._plan.recipe(rate, len(images), self._classes, self._pool)
        pool = self._pool
        start = None if pool is None else pool.weights(first % len(pool))
        (scores,) = follow_steps(
            *(recipe, images, centred_one_hot(classes, self._classes), *shown),
            prepare=self._transform.apply,
            networks=1,
            seed=1000 * self._plan.seed + first,
            start=start,
        )
        self._told()
        return scores[ACCURACY]

    def _neighbours(
        self,
        k: int,
        images: np.ndarray,
        classes: np.ndarray,
        shown: tuple[np.ndarray, np.ndarray],
    ) -> float:
        nearest = KNeighborsClassifier(k, n_jobs=1).fit(images.reshape(len(images), -1), classes)
        x, y = shown
        right = 0
        for start in range(0, len(x), 1000):
            part = self._transform.apply(x[start : start + 1000])
            found = nearest.predict(part.reshape(len(part), -1))
            right += int(np.sum(found == y[start : start + 1000]))
        self._told()
        return right / len(x)


def all_baselines(
    baselines: StepBaselines, kinds: Sequence[str], *, done: Callable[[Baseline], object]
) -> list[Baseline]:
    """Return the baselines of the kinds by gradient steps, and of some by nearest neighbours.

    Args:
        baselines: of a dataset.
        kinds: of `KINDS`.
        done: told of each.
    """
    found = []
    for kind in kinds:
        ways = [baselines.by_steps]
        ways += [baselines.by_neighbours] if kind in ("random", "kmeans") else []
        for way in ways:
            found.append(way(kind))
            done(found[-1])
    return found
