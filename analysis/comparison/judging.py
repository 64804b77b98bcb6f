"""Who judges sets: a kernel or a network, the same for all of them."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from stillhouse.data.arrays import slices
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.recipes import TrainingRecipe, recipe_to_plain
from stillhouse.data.transforms import Transform
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.kernel_regression.computer import KernelComputer
from stillhouse.methods.kernel_regression.evaluation import evaluate_krr

_CHUNK = 500
Set = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Tests:
    """The images that are predicted.

    Attributes:
        images: raw, `[n, h, w, c]`.
        classes: their integer classes `[n]`.
        num_classes: k.
        fingerprint: of them.
    """

    __test__ = False  # Not a test, whatever pytest thinks of its name.

    images: np.ndarray
    classes: np.ndarray
    num_classes: int
    fingerprint: str


@dataclasses.dataclass(frozen=True, eq=False)
class Contender:
    """A set that is judged, or a way to draw sets.

    Attributes:
        name: what the table calls it.
        images: how many it has.
        transform: brings raw images to what its own are in.
        draw: from a seed to images `[s, h, w, c]` and labels `[s, k]`.
        drawn: whether each seed gives another set.
        bytes: of its images.
        seconds: that it took to make; None where unknown, or nothing was learned.
        source: its file or folder; None where it has none.
        method: what made it.
    """

    name: str
    images: int
    transform: Transform
    draw: Callable[[int], Set]
    drawn: bool
    bytes: int
    seconds: float | None = None
    source: str | None = None
    method: str | None = None


@dataclasses.dataclass(frozen=True)
class KernelJudge:
    """Kernel ridge regression on the set.

    Attributes:
        name: of the column.
        spec: the kernel.
        computer: who computes it.
        regularisation: the ridge, as a share of the kernel's mean diagonal.
    """

    name: str
    spec: KernelSpec
    computer: KernelComputer = dataclasses.field(compare=False)
    regularisation: float = 1e-6

    @property
    def seeded(self) -> bool:
        """Whether it judges a set otherwise from each seed."""
        return False

    def identity(self) -> dict[str, Any]:
        """Return what decides its judgements."""
        return {"krr": json.loads(self.spec.to_json()), "regularisation": self.regularisation}

    def accuracy(self, found: Set, transform: Transform, tests: Tests, seed: int) -> float:
        """Return the share of test images whose class it predicts.

        Raises:
            FloatingPointError: if the predictions are not finite.
        """
        chunks = (
            (transform.apply(tests.images[part]), centred_one_hot(classes, tests.num_classes))
            for part in slices(len(tests.images), _CHUNK)
            for classes in [tests.classes[part]]
        )
        ridge = self.regularisation
        return evaluate_krr(self.computer, self.spec, *found, chunks, ridge).accuracy


@dataclasses.dataclass(frozen=True)
class NetworkJudge:
    """A network that is trained on the set, from random weights.

    Attributes:
        name: of the column.
        recipe: how.
    """

    name: str
    recipe: TrainingRecipe

    @property
    def seeded(self) -> bool:
        """Whether it judges a set otherwise from each seed."""
        return True

    def identity(self) -> dict[str, Any]:
        """Return what decides its judgements."""
        return recipe_to_plain(self.recipe)

    def accuracy(self, found: Set, transform: Transform, tests: Tests, seed: int) -> float:
        """Return the share of test images whose class it predicts, after training.

        Raises:
            FloatingPointError: if the loss is not finite.
        """
        # Only here: the library of networks takes its time to import.
        from stillhouse.methods.following import recipe_accuracies

        arrays = (*found, tests.images, tests.classes)
        (accuracy,) = recipe_accuracies(
            self.recipe, *arrays, prepare=transform.apply, networks=1, seed=seed
        )
        return accuracy


Judge = KernelJudge | NetworkJudge


def fingerprint(judge: Judge, found: Set, transform: Transform, tests: Tests, seed: int) -> str:
    """Return SHA-256 of all that decides a judgement: what has it was judged already."""
    digest = hashlib.sha256()
    arrays = transform.to_arrays()
    for array in (*found, *(arrays[name] for name in sorted(arrays))):
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    seen = {"judge": judge.identity(), "seed": seed if judge.seeded else 0}
    seen |= {"transform": transform.kind, "tests": tests.fingerprint}
    digest.update(json.dumps(seen, sort_keys=True).encode())
    return digest.hexdigest()
