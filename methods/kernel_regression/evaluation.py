"""How well a support set predicts: KRR on images it was not made for."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from stillhouse.data.arguments import check_arguments, shown
from stillhouse.data.batches import TargetBatches
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.algorithm import Interrupted, Support
from stillhouse.methods.kernel_regression.computer import KernelComputer
from stillhouse.methods.kernel_regression.ridge import krr_weights


@dataclasses.dataclass(frozen=True)
class Scores:
    """The scores of a support set.

    Attributes:
        accuracy: the share of images whose predicted and true labels have the same argmax.
        mse: 1/2 of the mean squared error over all entries of the labels, as published.
    """

    accuracy: float
    mse: float


@check_arguments
def evaluate_krr(
    computer: KernelComputer,
    spec: KernelSpec,
    images: np.ndarray,
    labels: np.ndarray,
    chunks: Iterable[tuple[np.ndarray, np.ndarray]],
    regularisation: float = 1e-6,
) -> Scores:
    """Score the KRR predictor of a support set.

    Memory is that of one chunk; sums are float64.

    Args:
        computer: who computes the kernels.
        spec: the kernel.
        images: the support images, float32 `[s, h, w, c]`.
        labels: their labels, `[s, k]`.
        chunks: the images to predict in their own chunks, `[n, h, w, c]`, with their labels,
            centred one-hot, `[n, k]`.
        regularisation: the ridge as a share of the mean diagonal of K_ss.

    Raises:
        ValueError: if shapes do not agree or there is no chunk.
        FloatingPointError: if the kernel or the predictions are not finite.
    """
    if not hasattr(computer, "gram"):
        got = shown(computer)
        raise ValueError(f"`computer` must compute kernels, as `LocalComputer()` does, got {got}")
    weights = krr_weights(computer.gram(spec, images), labels, regularisation=regularisation)
    count, correct, squares = 0, 0, 0.0
    for x, y in chunks:
        if np.shape(y) != (len(x), weights.shape[1]):
            raise ValueError(
                f"the labels of a chunk must be [{len(x)}, {weights.shape[1]}], got shape "
                f"{np.shape(y)}"
            )
        predictions = computer.cross(spec, x, images).astype(np.float64) @ weights
        correct += int(np.sum(predictions.argmax(axis=1) == y.argmax(axis=1)))
        squares += float(np.sum((predictions - y.astype(np.float64)) ** 2))
        count += len(x)
    if not count:
        raise ValueError("`chunks` holds no images to evaluate on")
    if not np.isfinite(squares):
        raise FloatingPointError("the predictions hold NaN or infinite values")
    return Scores(correct / count, squares / (2 * count * weights.shape[1]))


Chunk = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class KrrScoring:
    """How a run scores a support set that is meant for KRR.

    Attributes:
        computer: who computes kernels.
        kernels: the kernels by name; the first one's scores are the run's.
        batches: the target batches, not augmented: test images come in chunks of their size.
        regularisation: the ridge.
        should_stop: asked between chunks whether to give up.
    """

    computer: KernelComputer
    kernels: Mapping[str, KernelSpec]
    batches: TargetBatches
    regularisation: float
    should_stop: Callable[[], bool] = lambda: False

    def test(
        self, images: np.ndarray, labels: np.ndarray, kernel: str | None = None
    ) -> dict[str, float]:
        """Return "test_accuracy" and "test_mse" on all test images, by a kernel or the first.

        Raises:
            Interrupted: if asked to stop.
            FloatingPointError: if the predictions are not finite.
        """
        name = next(iter(self.kernels)) if kernel is None else kernel
        chunks = self.batches.chunks("test", self.batches.batch_size)
        scores = self._score(self.kernels[name], images, labels, chunks)
        return {"test_accuracy": scores.accuracy, "test_mse": scores.mse}

    def final(
        self, images: np.ndarray, labels: np.ndarray, step: int, scores: Mapping[str, float]
    ) -> dict[str, Any]:
        """Return the scores on training images, and those of the other kernels.

        Args:
            images: the support images.
            labels: their labels.
            step: the class-balanced sample of training images is the batch of this step.
            scores: what `test` gave by the first kernel.
        """
        first, *others = self.kernels
        tests = {first: scores} | {name: self.test(images, labels, name) for name in others}
        train = self._score(self.kernels[first], images, labels, [self.batches.batch(step)])
        return {
            "train_accuracy": train.accuracy,
            "train_mse": train.mse,
            "test_by_kernel": {
                name: {"accuracy": test["test_accuracy"], "mse": test["test_mse"]}
                for name, test in tests.items()
            },
        }

    def _score(
        self, spec: KernelSpec, images: np.ndarray, labels: np.ndarray, chunks: Iterable[Chunk]
    ) -> Scores:
        chunks = self._until_stopped(chunks)
        return evaluate_krr(self.computer, spec, images, labels, chunks, self.regularisation)

    def _until_stopped(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        for chunk in chunks:
            if self.should_stop():
                raise Interrupted
            yield chunk


@dataclasses.dataclass(frozen=True)
class KrrAlgorithm:
    """An `Algorithm` whose set is meant for KRR and whose state is named arrays; add `advance`.

    Attributes:
        scoring: scores the support set.
        start: gives the images and labels to start from; called for a new run only.
    """

    scoring: KrrScoring
    start: Callable[[], Support]

    def begin(self) -> dict[str, np.ndarray]:
        """Return the images and labels to start from."""
        images, labels = self.start()
        return {"images": images, "labels": labels}

    def support(self, state: Mapping[str, np.ndarray]) -> Support:
        """Return the images and labels as they are now."""
        return state["images"], state["labels"]

    def score(self, state: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Return the scores of KRR on all test images."""
        return self.scoring.test(*self.support(state))

    def final_scores(
        self, state: Mapping[str, np.ndarray], scores: Mapping[str, float]
    ) -> dict[str, Any]:
        """Return the scores on training images."""
        return self.scoring.final(*self.support(state), 0, scores)

    def save(self, state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the state, which is arrays already."""
        return dict(state)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the state that `save` gave.

        Raises:
            ValueError: if it holds no images and labels.
        """
        if not {"images", "labels"} <= arrays.keys():
            raise ValueError("not a state of this method: it holds no images and labels")
        return dict(arrays)
