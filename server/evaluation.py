"""Scores of a support set during a run."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from stillhouse.data.batches import TargetBatches
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.computer import KernelComputer
from stillhouse.methods.evaluation import Scores, evaluate_krr

Chunk = tuple[np.ndarray, np.ndarray]


class Interrupted(Exception):
    """The run was asked to stop, and did, in a state from which it goes on.

    Attributes:
        step: how many steps are done.
    """

    def __init__(self, step: int = 0) -> None:
        super().__init__(f"interrupted after step {step}")
        self.step = step


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """How a run scores its support set.

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

    def test(self, images: np.ndarray, labels: np.ndarray, kernel: str | None = None) -> Scores:
        """Score on all test images, by the kernel named or the first.

        Raises:
            Interrupted: if asked to stop.
            FloatingPointError: if the predictions are not finite.
        """
        name = next(iter(self.kernels)) if kernel is None else kernel
        chunks = self.batches.chunks("test", self.batches.batch_size)
        return self._score(self.kernels[name], images, labels, chunks)

    def train(self, images: np.ndarray, labels: np.ndarray, step: int) -> Scores:
        """Score on the class-balanced sample of training images that is the batch of `step`."""
        spec = next(iter(self.kernels.values()))
        return self._score(spec, images, labels, [self.batches.batch(step)])

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
