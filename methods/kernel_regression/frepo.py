"""FRePo: kernel ridge regression on the features of networks that learn from the set meanwhile.

A pool of networks lives beside the set. Each step takes some of them, moves the set down the
gradient of their regressions, and lets each of them take one step on the set as it was. A network
that has taken its steps makes room for a new one. So the features are those of networks of every
age on the set, and no gradient goes through their training.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from stillhouse.data.sampling import rng_for
from stillhouse.methods.algorithm import Support
from stillhouse.methods.corruption import Corruption
from stillhouse.methods.kernel_regression.frepo_settings import FrepoSettings
from stillhouse.methods.kernel_regression.support_set import (
    SupportState,
    begin_support,
    check_finite,
    restore_support,
    updated,
)
from stillhouse.methods.matching.scoring import TrainingScoring
from stillhouse.methods.method import Problem
from stillhouse.methods.programs.program import Arrays
from stillhouse.methods.tasks import Task

_POOL, _NETWORK = "pool", "network/"


@dataclasses.dataclass(frozen=True, eq=False)
class FrepoState:
    """What a step starts from, and ends with.

    Attributes:
        support: images, labels and optimiser.
        pool: of each place of the pool how many networks it has had before, and how many steps the
            present one has taken, int64 `[pool_size, 2]`.
        networks: by their place those that are not new, float32 `[3, size]`: packed weights, and
            both moments of Adam.
    """

    support: SupportState
    pool: np.ndarray
    networks: Mapping[int, np.ndarray]


class Frepo:
    """FRePo as an `Algorithm`.

    The networks of a step are tasks. Their weights travel: bringing a fresh network to its age
    instead would cost as many steps as that for each one that the pool takes.

    Args:
        settings: of the method.
        problem: what it works on.

    References:
        Zhou, Nezhadarya, Ba. Dataset Distillation using Neural Feature Regression. NeurIPS 2022,
        https://arxiv.org/abs/2206.00719
    """

    def __init__(self, settings: FrepoSettings, problem: Problem) -> None:
        self._settings, self._problem = settings, problem
        corruption = Corruption(settings.corruption, problem.seed)
        self._config = dataclasses.replace(settings.config(), corruption=corruption)
        self._program = settings.program()
        self._scoring = TrainingScoring(
            *(problem.runner, problem.dataset, problem.transform),
            *(settings.recipe_networks, problem.seed),
        )

    def begin(self) -> FrepoState:
        """Return the state before the first step: a pool of new networks."""
        images, labels = self._problem.start()
        support = begin_support(self._config, self._config.corruption.of(images), labels)
        return FrepoState(support, np.zeros((self._settings.pool_size, 2), np.int64), {})

    def advance(self, state: FrepoState, step: int) -> tuple[FrepoState, dict[str, float]]:
        """Return the state after step `step`, and the mean loss and accuracy of its networks.

        Raises:
            NonFiniteStepError: if an update leaves float32.
        """
        places = self._places(step)
        targets = self._problem.targets.batch(step - 1)
        tasks = [self._task(state, place, targets) for place in places]
        sums: list[np.ndarray] = []
        pool, networks = state.pool.copy(), dict(state.networks)
        results = self._problem.runner.results(tasks)
        for place, (*found, network) in zip(places, results, strict=True):
            parts = [part.astype(np.float64) for part in found]
            sums = [a + b for a, b in zip(sums, parts, strict=True)] if sums else parts
            life, age = pool[place]
            if age < self._steps_of(place, life):
                pool[place], networks[place] = (life, age + 1), network
            else:
                pool[place] = life + 1, 0
                networks.pop(place, None)
        (loss, accuracy), images, labels = (total / len(tasks) for total in sums)
        check_finite(self._config, state.support, "loss", loss)
        gradients = {"images": images.astype(np.float32), "labels": labels.astype(np.float32)}
        learned = updated(self._config, state.support, gradients)
        after = SupportState(learned, state.support.fixed)
        values = {"loss": float(loss), "accuracy": float(accuracy)}
        return FrepoState(after, pool, networks), values

    def support(self, state: FrepoState) -> Support:
        """Return the images and labels as they are now."""
        return state.support.images, state.support.labels

    def score(self, state: FrepoState) -> dict[str, float]:
        """Return the accuracy of networks that are trained on the set."""
        return self._scoring.test(self._settings.recipe(), *self.support(state))

    def final_scores(self, state: FrepoState, scores: Mapping[str, float]) -> dict[str, Any]:
        """Return nothing more."""
        return {}

    def save(self, state: FrepoState) -> dict[str, np.ndarray]:
        """Return the state as arrays."""
        networks = {f"{_NETWORK}{place}": array for place, array in state.networks.items()}
        return {**state.support.to_arrays(), _POOL: state.pool, **networks}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> FrepoState:
        """Return the state that `save` gave.

        Raises:
            ValueError: if it is not one of these settings.
        """
        support = restore_support(self._config, arrays)
        pool = np.asarray(arrays.get(_POOL, ()))
        if pool.shape != (self._settings.pool_size, 2):
            raise ValueError(
                f"not a state of these settings: a pool of {self._settings.pool_size} networks has "
                f"a row of two numbers for each, got shape {pool.shape}"
            )
        old = [place for place, (_, age) in enumerate(pool) if age]
        missing = [place for place in old if f"{_NETWORK}{place}" not in arrays]
        if missing:
            raise ValueError(f"not a state of these settings: network {missing[0]} is missing")
        return FrepoState(support, pool, {place: arrays[f"{_NETWORK}{place}"] for place in old})

    def _places(self, step: int) -> list[int]:
        """Return which networks of the pool a step takes: a function of (seed, step) alone."""
        settings, rng = self._settings, rng_for(self._problem.seed, "frepo step", step)
        return [int(p) for p in rng.permutation(settings.pool_size)[: settings.networks]]

    def _steps_of(self, place: int, life: int) -> int:
        """Return how many steps a network takes; the first ones fewer, so that ages differ."""
        settings = self._settings
        most = settings.max_online_updates
        return most if life else most - most * place // settings.pool_size

    def _task(self, state: FrepoState, place: int, targets: Arrays) -> Task:
        life, age = (int(number) for number in state.pool[place])
        drawn = rng_for(self._problem.seed, "frepo network", place, life)
        own = np.array([drawn.integers(2**31), age], np.int64)
        network = (state.networks[place],) if age else ()
        return Task(self._program, (*self.support(state), *targets, *network), (own,))
