"""What a method is to whoever runs one: its settings, and what becomes of them."""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from stillhouse.data.augmentation import Augmentation
from stillhouse.data.batches import TargetBatches
from stillhouse.data.dataset import Dataset
from stillhouse.data.recipes import Recipe
from stillhouse.data.transforms import Transform
from stillhouse.methods.algorithm import Algorithm, Support
from stillhouse.methods.costs import RunCost, RunSizes
from stillhouse.methods.options import Checked
from stillhouse.methods.programs import Context

if TYPE_CHECKING:
    from stillhouse.methods.tasks import TaskRunner


@dataclasses.dataclass(frozen=True)
class Problem:
    """What a method is given to work on.

    Attributes:
        dataset: the raw images.
        transform: brings them into the space in which the set is learned.
        targets: a batch of real images for each step, augmented where the method says so.
        plain: the same batches, never augmented; its size is that of chunks too.
        seed: of everything random.
        start: gives the images and labels to start from; call it for a new run only.
        runner: computes tasks.
        should_stop: to be asked between the parts of what takes long.
        steps: how many the run has.
        chosen_by: has as its test images those held out to choose by, where there are such.
        judge_every: steps between two looks at them.
        softmax_scale: what predictions from the labels to start from are to be multiplied by for a
            softmax; None where nobody says.
    """

    dataset: Dataset
    transform: Transform
    targets: TargetBatches
    plain: TargetBatches
    seed: int
    start: Callable[[], Support]
    runner: "TaskRunner"
    should_stop: Callable[[], bool]
    steps: int
    chosen_by: Dataset | None = None
    judge_every: int = 1
    softmax_scale: float | None = None


@dataclasses.dataclass(frozen=True)
class Method(Checked, abc.ABC):
    """A method: a frozen dataclass whose fields are its settings, and its flags.

    Its module is read for every `--help`: what takes long to import, such as JAX, is imported in
    `algorithm`.

    Attributes:
        name: what `--method` calls it; set by the registry.
        about: what it does, in half a line.
        from_batches: whether a step learns from its target batch, so that loaders can prepare it.
        threads: processor threads of a task where `--threads` does not say, so that its bits do
            not go with the machine; None for all cores, where they do not.
        eval_every: steps between evaluations where `--eval_every` does not say; 0 for the end only.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    from_batches: ClassVar[bool] = True
    threads: ClassVar[int | None] = None
    eval_every: ClassVar[int] = 50

    @abc.abstractmethod
    def batch_size(self, dataset: Dataset, support: int) -> int:
        """Return how many real images a step, and a chunk of an evaluation, has.

        Args:
            dataset: whose training images they are.
            support: how many images the set has.

        Raises:
            ValueError: if the dataset has not so many of each class.
        """

    @abc.abstractmethod
    def steps_for(self, dataset: Dataset) -> int:
        """Return how many steps there are."""

    @abc.abstractmethod
    def cost(self, sizes: RunSizes, *, steps: int, evaluations: int) -> RunCost:
        """Return what a run costs.

        Args:
            sizes: of the run.
            steps: how many there are.
            evaluations: how often the set is scored on all test images.
        """

    @abc.abstractmethod
    def algorithm(self, problem: Problem) -> Algorithm[Any]:
        """Return its steps."""

    @abc.abstractmethod
    def recipe(self) -> Recipe:
        """Return how a set that it makes is meant to be used."""

    @abc.abstractmethod
    def identity(self) -> dict[str, Any]:
        """Return its settings, as far as they decide the bits of a result."""

    @abc.abstractmethod
    def learns_through(self) -> tuple[str, ...]:
        """Return the networks that it learns through, for people, such as `convnet:3`."""

    def details(self) -> Mapping[str, Any]:
        """Return what its settings come to, as JSON values for the run's folder and card."""
        return {}

    def backend(self, context: Context) -> str:
        """Return the name of the backend by which workers are to compute its tasks.

        Raises:
            ValueError: if what it learns through cannot be computed here.
        """
        return context.backend

    def augmentation(self) -> Augmentation | None:
        """Return what happens to its target batches; None for nothing."""
        return None

    def holds_out(self) -> bool:
        """Return whether a tenth of the training images is held out, to choose by."""
        return False

    def growing(self) -> str | None:
        """Return the setting of which a finished run may be given more, to go on; None for none."""
        return None

    def support_size(self, ipc: int, num_classes: int) -> int:
        """Return how many images `--ipc` stands for in all."""
        return ipc * num_classes

    def check_support(self, size: int, num_classes: int) -> None:
        """Check that it can learn so many images, a multiple of the classes.

        Raises:
            ValueError: if not.
        """
        return None

    def check_image(self, height: int, width: int) -> None:
        """Check that what it learns through takes such images.

        Raises:
            ValueError: if not.
        """
        return None

    def check_data(self, dataset: Dataset, transform: str) -> None:
        """Check that its other settings fit the data, such as a pool or the name of a class.

        Args:
            dataset: what is distilled.
            transform: the kind of transform through which it is seen.

        Raises:
            ValueError: if not.
            OSError: if a file or folder that they name cannot be read.
        """
        return None

    def check_start(self, labels: np.ndarray) -> None:
        """Check that the labels of a set that it is to start from, `[s, k]`, are of use.

        Raises:
            ValueError: if not.
        """
        return None

    def check_given(self, given: frozenset[str]) -> None:
        """Check that the flags which were given make sense beside each other.

        Raises:
            ValueError: if two take each other's place, or one would be ignored.
        """
        return None
