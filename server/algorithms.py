"""The methods as runs see them: a state, a step, and arrays to save."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import numpy as np

from stillhouse.data.batches import TargetBatches
from stillhouse.data.dataset import Dataset
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.transforms import Transform
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.computer import KernelComputer
from stillhouse.methods.kip import (
    KipConfig,
    KipState,
    initial_state,
    kip_step,
    state_from_arrays,
    state_to_arrays,
)
from stillhouse.methods.label_solve import LabelSolver

Support = tuple[np.ndarray, np.ndarray]
S = TypeVar("S")


class Algorithm(Protocol[S]):
    """A method whose work comes in steps.

    A state is never changed: `advance` gives a new one, so that a step which is interrupted can
    be forgotten.
    """

    def begin(self) -> S:
        """Return the state before the first step."""
        ...

    def advance(self, state: S, step: int) -> tuple[S, dict[str, float]]:
        """Return the state after one more step, number `step` from 1, and what it measured."""
        ...

    def support(self, state: S) -> Support:
        """Return the images `[s, h, w, c]` and labels `[s, k]` as they are now."""
        ...

    def save(self, state: S) -> dict[str, np.ndarray]:
        """Return the state as arrays."""
        ...

    def restore(self, arrays: Mapping[str, np.ndarray]) -> S:
        """Return the state that `save` gave."""
        ...


@dataclasses.dataclass(frozen=True)
class Kip:
    """KIP: a step learns from one target batch.

    Attributes:
        config: its parameters.
        batches: the target batches.
        computer: who computes kernels.
        start: gives the images and labels to start from; called for a new run only.
    """

    config: KipConfig
    batches: TargetBatches
    computer: KernelComputer
    start: Callable[[], Support]

    def begin(self) -> KipState:
        """Return the state before the first step."""
        return initial_state(self.config, *self.start())

    def advance(self, state: KipState, step: int) -> tuple[KipState, dict[str, float]]:
        """Return the state after step `step`, and what it measured."""
        x_t, y_t = self.batches.batch(state.step)
        state, metrics = kip_step(self.config, state, self.computer, x_t, y_t)
        return state, {"loss": metrics.loss, "accuracy": metrics.accuracy}

    def support(self, state: KipState) -> Support:
        """Return the images and labels as they are now."""
        return state.images, state.labels

    def save(self, state: KipState) -> dict[str, np.ndarray]:
        """Return the state as arrays."""
        return state_to_arrays(state)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> KipState:
        """Return the state that `save` gave."""
        return state_from_arrays(self.config, arrays)


@dataclasses.dataclass(frozen=True, eq=False)
class LabelSolveState:
    """The images, their first labels, and the sums over the chunks seen so far."""

    images: np.ndarray
    labels: np.ndarray
    solver: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class LabelSolve:
    """Label Solve: a step sees one chunk of the training images, each of them once in all.

    Attributes:
        spec: the kernel.
        regularisation: the ridge.
        dataset: whose training images are the targets, in order.
        transform: brings them into the kernel's space.
        chunk: how many of them a step sees.
        computer: who computes kernels.
        start: gives the images, and the labels to compare with; called for a new run only.
    """

    spec: KernelSpec
    regularisation: float
    dataset: Dataset
    transform: Transform
    chunk: int
    computer: KernelComputer
    start: Callable[[], Support]

    @property
    def steps(self) -> int:
        """The number of chunks."""
        return -(-len(self.dataset.y_train) // self.chunk)

    def begin(self) -> LabelSolveState:
        """Return the state before the first step."""
        images, labels = self.start()
        gram = self.computer.gram(self.spec, images)
        solver = LabelSolver(gram, labels.shape[1], regularisation=self.regularisation)
        return LabelSolveState(images, labels, solver.to_arrays())

    def advance(
        self, state: LabelSolveState, step: int
    ) -> tuple[LabelSolveState, dict[str, float]]:
        """Return the state after step `step`, and what it measured."""
        part = slice((step - 1) * self.chunk, step * self.chunk)
        x_t = self.transform.apply(self.dataset.x_train[part])
        y_t = centred_one_hot(self.dataset.y_train[part], self.dataset.num_classes)
        K_ts = self.computer.cross(self.spec, x_t, state.images)
        solver = LabelSolver.from_arrays(state.solver)
        solver.update(K_ts, y_t)
        after = LabelSolveState(state.images, state.labels, solver.to_arrays())
        return after, {"loss": solver.loss(solver.solve())}

    def support(self, state: LabelSolveState) -> Support:
        """Return the images and labels as they are now."""
        solver = LabelSolver.from_arrays(state.solver)
        return state.images, solver.solve() if solver.targets else state.labels

    def save(self, state: LabelSolveState) -> dict[str, np.ndarray]:
        """Return the state as arrays."""
        solver = {f"solver/{name}": array for name, array in state.solver.items()}
        return {"images": state.images, "labels": state.labels, **solver}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> LabelSolveState:
        """Return the state that `save` gave."""
        solver = {
            name.removeprefix("solver/"): array
            for name, array in arrays.items()
            if name.startswith("solver/")
        }
        LabelSolver.from_arrays(solver)  # Raises if it is not whole.
        return LabelSolveState(arrays["images"], arrays["labels"], solver)
