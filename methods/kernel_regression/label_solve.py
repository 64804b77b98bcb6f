"""Label Solve: the best labels of fixed support images, in closed form, streamed over targets."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.linalg

from stillhouse.data.arguments import of_hint
from stillhouse.data.dataset import Dataset
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.transforms import Transform
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.algorithm import Support
from stillhouse.methods.kernel_regression.computer import KernelComputer
from stillhouse.methods.kernel_regression.evaluation import KrrScoring
from stillhouse.methods.kernel_regression.ridge import ridge_factor

_STATE = ("factor", "gram", "moments", "squares", "chunks", "targets")


class LabelSolver:
    """The least-norm labels y_s that minimise ||A y_s - y_t||^2, A = K_ts (K_ss + lambda I)^-1.

    Targets come in chunks, and of A only A^T A `[s, s]` and A^T y_t `[s, k]` are kept, in
    float64: memory does not grow with the number of targets. The same chunks in the same order
    give the same bits, also when the solver went through `to_arrays` in between.

    Args:
        K_ss: kernel of the support set, symmetric `[s, s]`.
        num_classes: the number of label columns, k.
        regularisation: the ridge as a share of the mean diagonal of K_ss.

    Attributes:
        chunks: how many chunks it has seen, hence which one comes next.
        targets: how many targets they held.

    Raises:
        ValueError: if K_ss is not square, or a number is out of range.
        FloatingPointError: if K_ss with its ridge is not finite or not positive definite.

    References:
        Nguyen, Novak, Xiao, Lee. Dataset Distillation with Infinitely Wide Convolutional
        Networks. NeurIPS 2021, https://arxiv.org/abs/2107.13034 (equation 2)
    """

    def __init__(self, K_ss: np.ndarray, num_classes: int, *, regularisation: float = 1e-6) -> None:
        if of_hint("`num_classes`", num_classes, int) < 1:
            raise ValueError(f"`num_classes` must be positive, got {num_classes}")
        self._factor = np.asfortranarray(ridge_factor(K_ss, regularisation)[0])
        self._gram = np.zeros(K_ss.shape)
        self._moments = np.zeros((len(K_ss), num_classes))
        self._squares = 0.0
        self.chunks = 0
        self.targets = 0

    def update(self, K_ts: np.ndarray, y_t: np.ndarray) -> None:
        """Take the next chunk of targets.

        Args:
            K_ts: kernel of the chunk with the support set, `[t, s]`.
            y_t: labels of the chunk, centred one-hot, `[t, k]`.

        Raises:
            ValueError: if the shapes do not agree.
            FloatingPointError: if a value is not finite; the solver is as it was.
        """
        s, k = self._moments.shape
        if np.ndim(K_ts) != 2 or K_ts.shape[1] != s:
            raise ValueError(f"`K_ts` must be [t, {s}], got shape {np.shape(K_ts)}")
        if np.shape(y_t) != (len(K_ts), k):
            raise ValueError(f"`y_t` must be [{len(K_ts)}, {k}], got shape {np.shape(y_t)}")
        y_t = np.asarray(y_t, np.float64)
        if not (np.isfinite(K_ts).all() and np.isfinite(y_t).all()):
            raise FloatingPointError(
                f"the kernel or the labels of chunk {self.chunks} hold NaN or infinite values"
            )
        a = scipy.linalg.cho_solve((self._factor, True), np.asarray(K_ts, np.float64).T).T
        self._gram += a.T @ a
        self._moments += a.T @ y_t
        self._squares += float(np.sum(y_t * y_t))
        self.chunks += 1
        self.targets += len(K_ts)

    def solve(self, rcond: float | None = None) -> np.ndarray:
        """Return the labels, float32 `[s, k]`.

        Args:
            rcond: singular values of A below this share of the largest count as 0. A^T A has
                their squares, and knows them to s eps of the largest, so the default is
                sqrt(10 s eps), eps = 2.2e-16: about 1e-6 for 500 images. Nothing smaller can be
                told from 0 here, though a pseudo-inverse of A itself could.

        Raises:
            ValueError: if no chunk has been seen, or `rcond` is negative.
        """
        return self._solve(rcond).astype(np.float32)

    def loss(self, labels: np.ndarray) -> float:
        """Return 1/2 of the mean squared error of `labels` `[s, k]` over all targets seen."""
        labels = np.asarray(labels, np.float64)
        squares = np.sum(labels * (self._gram @ labels - 2 * self._moments)) + self._squares
        return float(squares) / (2 * self.targets * labels.shape[1])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the state as named arrays, for `np.savez`; nothing is rounded."""
        return {
            "factor": self._factor,
            "gram": self._gram.copy(),
            "moments": self._moments.copy(),
            "squares": np.asarray(self._squares),
            "chunks": np.asarray(self.chunks, np.int64),
            "targets": np.asarray(self.targets, np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "LabelSolver":
        """Read what `to_arrays` gave.

        Raises:
            ValueError: if an array is missing or of the wrong shape.
        """
        missing = [name for name in _STATE if name not in arrays]
        if missing:
            raise ValueError(f"not the state of a label solver: {missing} are missing")
        s = len(arrays["moments"])
        if arrays["factor"].shape != (s, s) or arrays["gram"].shape != (s, s):
            raise ValueError(
                f"not the state of a label solver: `factor` and `gram` must be [{s}, {s}], got "
                f"{arrays['factor'].shape} and {arrays['gram'].shape}"
            )
        solver = cls.__new__(cls)
        solver._factor = np.array(arrays["factor"], np.float64, order="F")
        solver._gram = np.array(arrays["gram"], np.float64)
        solver._moments = np.array(arrays["moments"], np.float64)
        solver._squares = float(arrays["squares"])
        solver.chunks = int(arrays["chunks"])
        solver.targets = int(arrays["targets"])
        return solver

    def _solve(self, rcond: float | None) -> np.ndarray:
        if not self.targets:
            raise ValueError("there are no targets to solve for; call `update` first")
        if rcond is None:
            rcond = math.sqrt(10 * len(self._gram) * np.finfo(np.float64).eps)
        if rcond < 0:
            raise ValueError(f"`rcond` must not be negative, got {rcond}")
        values, vectors = np.linalg.eigh(self._gram)
        kept = values > max(rcond**2 * values[-1], 0.0)
        vectors = vectors[:, kept]
        return vectors @ ((vectors.T @ self._moments) / values[kept, None])


@dataclasses.dataclass(frozen=True, eq=False)
class LabelSolveState:
    """The images, their first labels, and the sums over the chunks seen so far."""

    images: np.ndarray
    labels: np.ndarray
    solver: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class LabelSolve:
    """Label Solve as an `Algorithm`: a step sees one chunk of the training images, in order.

    Attributes:
        spec: the kernel.
        regularisation: the ridge.
        dataset: whose training images are the targets, in order.
        transform: brings them into the kernel's space.
        chunk: how many of them a step sees.
        computer: who computes kernels.
        start: gives the images, and the labels to compare with; called for a new run only.
        scoring: scores the support set.
    """

    spec: KernelSpec
    regularisation: float
    dataset: Dataset
    transform: Transform
    chunk: int
    computer: KernelComputer
    start: Callable[[], Support]
    scoring: KrrScoring

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

    def score(self, state: LabelSolveState) -> dict[str, float]:
        """Return the scores of KRR on all test images."""
        return self.scoring.test(*self.support(state))

    def final_scores(self, state: LabelSolveState, scores: Mapping[str, float]) -> dict[str, Any]:
        """Return the scores on training images."""
        chunks = int(state.solver["chunks"])
        return self.scoring.final(*self.support(state), chunks, scores)

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
