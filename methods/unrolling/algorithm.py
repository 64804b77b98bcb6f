"""Distillation through gradient steps: the update of the set, and how it is scored."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import optax

from stillhouse.data.labels import class_targets, soft_targets
from stillhouse.data.recipes import StepsRecipe
from stillhouse.data.sampling import rng_for
from stillhouse.methods.algorithm import Interrupted, NonFiniteStepError, Support
from stillhouse.methods.coordinates import in_coordinates
from stillhouse.methods.corruption import Corruption
from stillhouse.methods.following_steps import follow_steps, rows_of_steps
from stillhouse.methods.learned import Learned, begin_learning, restore_learning
from stillhouse.methods.method import Problem
from stillhouse.methods.scores import mean_scores
from stillhouse.methods.tasks import Task
from stillhouse.methods.unrolling.initialisation import drawn_members, drawn_seeds, read_file
from stillhouse.methods.unrolling.settings import UnrollSettings

Targets = tuple[np.ndarray, np.ndarray, np.ndarray]
_ARRAYS = ("images", "log_step_sizes", "labels")


@dataclasses.dataclass(frozen=True)
class UnrolledState:
    """What a step starts from, and ends with.

    Attributes:
        learned: "images", float32 `[s, h, w, c]`, and where they are learned "log_step_sizes"
            `[n]` and "labels" `[s, k]`, centred.
        fixed: those that are not, and "order", the rows of the images of each step of an epoch,
            int64 `[T, b]`.
    """

    learned: Learned
    fixed: Mapping[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        arrays = self.fixed if name in self.fixed else self.learned.arrays
        return arrays[name]


class Unrolling:
    """Distillation through gradient steps as an `Algorithm`.

    A step of the run draws networks, takes each through the gradient steps on the set, and moves
    images, step sizes and labels down the gradient of the mean loss on real images at their end.
    Each network is a task; their gradients are summed in order.

    Args:
        settings: of the method.
        problem: what it works on.

    References:
        Wang, Zhu, Torralba, Efros. Dataset Distillation. 2018, https://arxiv.org/abs/1811.10959
    """

    def __init__(self, settings: UnrollSettings, problem: Problem) -> None:
        self._settings, self._problem = settings, problem
        self._program = settings.program()
        self._corruption = Corruption(settings.corruption, problem.seed)
        self._optimiser = self._corruption.held(_optimiser(settings))
        self._attack: tuple[int, int] | None = None
        if settings.attack_class is not None and settings.target_class is not None:
            names = problem.dataset.class_names
            victim, target = settings.attack_class, settings.target_class
            self._attack = names.index(victim), names.index(target)

    def begin(self) -> UnrolledState:
        """Return the state before the first step."""
        images, labels = self._problem.start()
        images = self._corruption.of(images)
        sizes = np.full(self._settings.all_steps, np.log(self._settings.step_size), np.float32)
        arrays = dict(zip(_ARRAYS, (images, sizes, labels), strict=True))
        learned = {name: arrays.pop(name) for name in self._names()}
        arrays["order"] = _order(labels, self._settings.distill_steps)
        return UnrolledState(begin_learning(self._optimiser, learned), arrays)

    def advance(self, state: UnrolledState, step: int) -> tuple[UnrolledState, dict[str, float]]:
        """Return the state after step `step`, and the loss and accuracy at the end of its steps.

        Raises:
            NonFiniteStepError: if a gradient or an update leaves float32.
        """
        sizes = np.exp(state["log_step_sizes"])
        tasks = self._tasks(state, sizes, step)
        sums: list[np.ndarray] | None = None
        for results in self._problem.runner.results(tasks):
            parts = [np.asarray(result, np.float64) for result in results]
            sums = parts if sums is None else [a + b for a, b in zip(sums, parts, strict=True)]
        assert sums is not None, "there is a network"
        values, by_images, by_labels, by_sizes = (total / len(tasks) for total in sums)
        found = {"images": by_images, "labels": by_labels, "log_step_sizes": by_sizes * sizes}
        gradients = {name: found[name].astype(np.float32) for name in self._names()}
        self._check(step, "loss", values)
        for name, gradient in gradients.items():
            self._check(step, f"gradient of the {name}", gradient)
        learned = state.learned.updated(self._optimiser, gradients)
        for name, array in learned.arrays.items():
            self._check(step, f"update of the {name}", array)
        after = UnrolledState(learned, state.fixed)
        self._check_sizes(step, np.exp(after["log_step_sizes"]))
        return after, {"loss": float(values[0]), "accuracy": float(values[1])}

    def support(self, state: UnrolledState) -> Support:
        """Return the images and labels as they are now."""
        return state["images"], state["labels"]

    def recipe(self, state: UnrolledState) -> StepsRecipe:
        """Return how the set is meant to be used, with the step sizes as they are now."""
        sizes = tuple(float(size) for size in np.exp(state["log_step_sizes"]))
        return StepsRecipe(
            self._settings.spec.to_dict(),
            step_sizes=sizes,
            order=tuple(tuple(int(i) for i in step) for step in state["order"]),
            epochs=self._settings.distill_epochs,
            labels="soft" if self._settings.learn_labels else "classes",
            attack=self._attack,
            **self._settings.recipe_start(self._problem.seed),
        )

    def score(self, state: UnrolledState) -> dict[str, float]:
        """Return the mean scores of networks that follow the recipe, see `follow_steps`."""
        start, dataset = self._settings.start, self._problem.dataset
        found = follow_steps(
            self.recipe(state),
            *self.support(state),
            dataset.x_test,
            dataset.y_test,
            prepare=self._problem.transform.apply,
            networks=self._settings.score_networks,
            pool=start.pool if start.kind == "pool" else None,
            weights=start.file if start.kind == "file" else None,
            told=self._stop_if_asked,
        )
        return mean_scores(found)

    def final_scores(self, state: UnrolledState, scores: Mapping[str, float]) -> dict[str, Any]:
        """Return the step sizes."""
        return {"step_sizes": list(self.recipe(state).step_sizes)}

    def save(self, state: UnrolledState) -> dict[str, np.ndarray]:
        """Return the state as arrays."""
        return {**state.learned.to_arrays(), **state.fixed}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> UnrolledState:
        """Return the state that `save` gave."""
        learned = restore_learning(self._optimiser, arrays, self._names())
        fixed = [name for name in (*_ARRAYS, "order") if name not in self._names()]
        missing = [name for name in fixed if name not in arrays]
        if missing:
            raise ValueError(f"not a state of these settings: the array {missing[0]} is missing")
        return UnrolledState(learned, {name: np.asarray(arrays[name]) for name in fixed})

    def _names(self) -> tuple[str, ...]:
        chosen = {
            "images": True,
            "log_step_sizes": self._settings.learn_step_sizes,
            "labels": self._settings.learn_labels,
        }
        return tuple(name for name in _ARRAYS if chosen[name])

    def _tasks(self, state: UnrolledState, sizes: np.ndarray, step: int) -> list[Task]:
        """Return a task for each network of a step."""
        settings, seed = self._settings, self._problem.seed
        of_labels = soft_targets if settings.learn_labels else class_targets
        common = (
            *(state["images"], of_labels(state["labels"]), sizes, state["order"]),
            *self._targets(step),
        )
        end = settings.all_steps
        if settings.truncate:
            rng = rng_for(seed, "unrolled window", step)
            end = int(rng.integers(settings.truncate, settings.all_steps + 1))
        return [
            Task(self._program, (*common, *weights), (np.array([one, end], np.int64),))
            for one, weights in self._starts(step)
        ]

    def _starts(self, step: int) -> list[tuple[int, tuple[np.ndarray, ...]]]:
        """Return seed, and weights where there are any, of each network of a step."""
        settings, seed = self._settings, self._problem.seed
        start = settings.start
        if start.kind == "fixed":
            return [(seed, ())]
        if start.kind == "random":
            return [(one, ()) for one in drawn_seeds(seed, step, settings.networks)]
        if start.kind == "file":
            return [(0, (self._file_weights(),))]
        pool = start.pool
        learned_from = len(pool) - start.held_out(settings.held_out)
        chosen = drawn_members(seed, step, learned_from, settings.networks)
        return [(0, (pool.weights(index),)) for index in chosen]

    def _file_weights(self) -> np.ndarray:
        dataset = self._problem.dataset
        spec, start = self._settings.spec, self._settings.start
        return read_file(start.file, spec, dataset.image_shape, dataset.num_classes)

    def _targets(self, step: int) -> Targets:
        """Return real images, what networks are to say of them, and the weight of each."""
        if self._attack is None:
            x, y = self._problem.targets.batch(step - 1)
            return x, class_targets(y), np.full(len(x), 1 / len(x), np.float32)
        return self._attacked(step, *self._attack)

    def _attacked(self, step: int, victim: int, target: int) -> Targets:
        """Return images of the attacked class as those of the target, and others as they are."""
        batches = self._problem.targets
        classes, keep = batches.dataset.y_train, self._settings.keep_others
        rng = rng_for(self._problem.seed, "attacked images", step)
        victims = np.flatnonzero(classes == victim)
        count = min(batches.batch_size // (2 if keep else 1), len(victims))
        chosen = rng.choice(victims, count, replace=False)
        said = np.full(count, target)
        weights = np.full(count, 1 / count, np.float32)
        if keep:
            rest = np.flatnonzero(classes != victim)
            others = rng.choice(rest, min(count, len(rest)), replace=False)
            chosen, said = np.concatenate([chosen, others]), np.append(said, classes[others])
            weights = np.append(weights, np.full(len(others), keep / len(others), np.float32))
        one_hot = np.eye(batches.dataset.num_classes, dtype=np.float32)[said]
        return batches.transform.apply(batches.dataset.x_train[chosen]), one_hot, weights

    def _check(self, step: int, what: str, value: np.ndarray) -> None:
        if not np.isfinite(value).all():
            raise NonFiniteStepError(step, f"the {what.replace('_', ' ')}", self._advice())

    def _check_sizes(self, step: int, sizes: np.ndarray) -> None:
        wrong = np.flatnonzero(~(np.isfinite(sizes) & (sizes > 0)))
        if wrong.size:
            raise NonFiniteStepError(step, f"the size of gradient step {wrong[0]}", self._advice())

    def _advice(self) -> str:
        settings = self._settings
        return (
            f"a lower `learning_rate` (now {settings.learning_rate:g}) or `step_rate` (now "
            f"{settings.step_rate:g}), or `step_size` (now {settings.step_size:g})"
        )

    def _stop_if_asked(self) -> None:
        if self._problem.should_stop():
            raise Interrupted


def _order(labels: np.ndarray, steps: int) -> np.ndarray:
    """Return the rows of the images of each step, as many of each class as of another.

    It is that of the labels as the run begins: learned ones may come to mean another class.
    """
    by_class = np.argsort(labels.argmax(axis=1), kind="stable")
    return by_class[rows_of_steps(len(labels), labels.shape[1], steps)].astype(np.int64)


def _optimiser(settings: UnrollSettings) -> optax.GradientTransformation:
    """Return Adam with a rate for each array, on shortened gradients, with images turned."""
    rates = {
        "images": settings.learning_rate,
        "log_step_sizes": settings.step_rate,
        "labels": settings.label_rate,
    }

    def scaled(updates: Any, params: Any = None) -> Any:
        return {name: np.float32(-rates[name]) * update for name, update in updates.items()}

    parts = [optax.clip_by_global_norm(settings.clip)] if settings.clip else []
    parts += [optax.scale_by_adam(), optax.stateless(scaled)]
    if settings.decay:
        parts.append(optax.scale_by_schedule(optax.cosine_decay_schedule(1.0, settings.steps)))
    return in_coordinates(optax.chain(*parts), settings.coordinates)
