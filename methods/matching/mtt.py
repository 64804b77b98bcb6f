"""Trajectory matching: synthetic images that lead a student where an expert went on real ones.

    minimise  || theta_N - theta*_{t+M} ||^2 / || theta*_t - theta*_{t+M} ||^2

by the images and by the student's learning rate; theta_N is a student after N steps on the set from
theta*_t, which an expert passed.
"""

import dataclasses

import numpy as np
import optax

from stillhouse.data.recipes import Recipe
from stillhouse.data.sampling import rng_for
from stillhouse.methods.coordinates import in_coordinates
from stillhouse.methods.matching.algorithm import Found, Matching, MatchingState
from stillhouse.methods.matching.mtt_settings import MttSettings
from stillhouse.methods.method import Problem
from stillhouse.methods.programs import TrajectoryMatch
from stillhouse.methods.tasks import Task

_LOG_RATE = "log_rate"


class TrajectoryMatching(Matching):
    """MTT as an `Algorithm`.

    Args:
        settings: of the method.
        problem: what it works on.

    References:
        Cazenavette, Wang, Torralba, Efros, Zhu. Dataset Distillation by Matching Training
        Trajectories. CVPR 2022, https://arxiv.org/abs/2203.11932
    """

    settings: MttSettings

    def __init__(self, settings: MttSettings, problem: Problem) -> None:
        super().__init__(settings, problem)
        self._pool = settings.experts()

    def others(self) -> dict[str, np.ndarray]:
        """Return the logarithm of the student's learning rate."""
        return {_LOG_RATE: np.log(np.array([self.settings.student_rate], np.float32))}

    def optimiser(self) -> optax.GradientTransformation:
        """Return what updates images and rate, each at a rate of its own."""
        names = {"images": "images", _LOG_RATE: _LOG_RATE}
        settings = self.settings
        rules = {
            "images": settings.update_rule(settings.learning_rate),
            # Clipped: one student that goes astray would else undo the rate for good.
            _LOG_RATE: optax.chain(optax.clip(1.0), settings.update_rule(settings.step_size_rate)),
        }
        return in_coordinates(optax.multi_transform(rules, names), settings.coordinates)

    def recipe(self, state: MatchingState) -> Recipe:
        """Return ordinary training, at the learning rate that was learned."""
        rate = float(np.exp(state.learned.arrays[_LOG_RATE][0]))
        return dataclasses.replace(self.settings.recipe(), learning_rate=rate)

    def find(self, state: MatchingState, step: int) -> Found:
        """Return how near students come to experts."""
        settings, pool = self.settings, self._pool
        ipc = len(state.images) // state.labels.shape[1]
        walked, starts = settings.walk(ipc, len(pool.steps))
        program = TrajectoryMatch(settings.spec, walked, settings.student_batch, settings.siamese)
        rate = np.exp(state.learned.arrays[_LOG_RATE])
        tasks = []
        for sample in range(settings.networks):
            rng = rng_for(self.problem.seed, "expert", step, sample)
            member, start = int(rng.integers(len(pool))), int(rng.integers(starts))
            way = pool.steps[start], pool.steps[start + settings.expert_epochs]
            weights = (pool.weights(member, moment) for moment in way)
            seed = np.array([self.number("student", step, sample)], np.int64)
            tasks.append(Task(program, (state.images, state.labels, *weights), (rate, seed)))
        loss, by_rate, by_images = 0.0, 0.0, np.zeros(state.images.shape)
        for distance, part, part_by_rate in self.problem.runner.results(tasks):
            loss += float(distance[0])
            by_rate += float(part_by_rate[0])
            by_images += part
        count = len(tasks)
        gradients = {
            "images": (by_images / count).astype(np.float32),
            _LOG_RATE: (rate * np.float64(by_rate / count)).astype(np.float32),
        }
        return Found(loss / count, gradients)
