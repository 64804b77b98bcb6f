"""The accuracy of kernel ridge regression from several sets, under several kernels, in time."""

import collections
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from stillhouse.analysis.report.baselines import SupportSet
from stillhouse.data.arrays import slices
from stillhouse.data.dataset import Dataset
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.sampling import rng_for
from stillhouse.data.transforms import Transform
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.costs import step_elements
from stillhouse.methods.kernel_regression.computer import KernelComputer
from stillhouse.methods.kernel_regression.evaluation import evaluate_krr

_CHUNK = 500
# Blocks are timed at growing sizes, up to one that takes so long: short ones are all overhead.
_FIRST = (4, 8)
_LONG_ENOUGH = 0.1
# A kernel that takes no more than this share of the time is never in another's way.
_CHEAP = 0.05


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel to measure.

    Attributes:
        name: of the row.
        spec: what to compute.
        is_own: whether it is the set's own, whose turn comes before that of other dear ones.
    """

    name: str
    spec: KernelSpec
    is_own: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class TestImages:
    """The images to predict.

    Attributes:
        images: in the kernel's space, float32 `[t, h, w, c]`.
        labels: centred, float32 `[t, k]`.
        out_of: how many test images there are.
    """

    __test__ = False  # Not a test, whatever pytest thinks of its name.

    images: np.ndarray
    labels: np.ndarray
    out_of: int

    @property
    def all_of_them(self) -> bool:
        """Whether these are all test images."""
        return len(self.images) == self.out_of


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """An accuracy, as a share of the images.

    Attributes:
        mean: over the draws.
        deviation: their standard deviation; None of a single one.
        draws: how many.
    """

    mean: float
    deviation: float | None = None
    draws: int = 1

    @classmethod
    def of(cls, values: Sequence[float]) -> "Accuracy":
        """Return the mean and deviation (of a sample) of the values."""
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return cls(float(np.mean(values)), deviation, len(values))


@dataclasses.dataclass(frozen=True)
class KrrRow:
    """What one kernel gives.

    Attributes:
        kernel: the kernel.
        accuracies: by the name of the set; None where the predictions are not finite.
        seconds: that it took; where it was left out, that it would have taken.
    """

    kernel: Kernel
    accuracies: Mapping[str, Accuracy | None]
    seconds: float

    @property
    def of_the_set(self) -> float:
        """The mean accuracy of the first set; 0 where it has none."""
        first = next(iter(self.accuracies.values()), None)
        return 0.0 if first is None else first.mean


@dataclasses.dataclass(frozen=True)
class KrrTable:
    """What all kernels give.

    Attributes:
        names: of the sets, in order.
        rows: of the kernels that were computed, in the order in which they were asked for.
        left_out: those that would have taken too long, without accuracies.
        draws: the most sets of one name.
        test_images: how many were predicted.
        out_of: of how many.
        seconds: the limit of time.
    """

    names: tuple[str, ...]
    rows: tuple[KrrRow, ...]
    left_out: tuple[KrrRow, ...]
    draws: int
    test_images: int
    out_of: int
    seconds: float | None


def sample_test(
    dataset: Dataset, transform: Transform, size: int | None, *, seed: int = 0
) -> TestImages:
    """Return test images, equally many of each class, or all of them.

    A class with fewer than its share gives all that it has.

    Args:
        dataset: whose test images.
        transform: brings them into the kernel's space.
        size: about how many; None, or as many as there are, for all.
        seed: of the choice.
    """
    y, k = dataset.y_test, dataset.num_classes
    chosen = np.arange(len(y))
    if size is not None and size < len(y):
        rng = rng_for(seed, "report test images")
        shares = [rng.permutation(np.flatnonzero(y == c))[: -(-size // k)] for c in range(k)]
        chosen = np.sort(np.concatenate(shares))
    images = transform.apply(dataset.x_test[chosen])
    return TestImages(images, centred_one_hot(y[chosen], k), len(y))


def krr_table(
    computer: KernelComputer,
    kernels: Sequence[Kernel],
    sets: Sequence[SupportSet],
    test: TestImages,
    regularisation: float,
    *,
    seconds: float | None = None,
    progress: Callable[[str], None] = lambda name: None,
) -> KrrTable:
    """Score every set under every kernel that there is time for.

    What a kernel takes is known from its elements and a short calibration. Cheap kernels come
    first, then the set's own, then the others from cheap to dear, while the time lasts.

    Args:
        computer: who computes the kernels.
        kernels: the kernels.
        sets: the sets, of one image shape; those of equal names are draws.
        test: the images to predict.
        regularisation: the ridge, as a share of the kernel's mean diagonal.
        seconds: the time for all of it; None for as long as it takes.
        progress: told the name of each kernel that is begun.
    """
    elements = sum(step_elements(len(one.images), len(test.images)) for one in sets)
    deadline = None if seconds is None else time.monotonic() + seconds
    estimates = dict.fromkeys(kernels, 0.0)
    if seconds is not None:
        for kernel in kernels:
            progress(kernel.name)
            each = _seconds_per_element(computer, kernel.spec, sets[0].images, test.images)
            estimates[kernel] = elements * each
    done: dict[Kernel, KrrRow] = {}
    for kernel in kernels if seconds is None else in_turn(estimates, seconds):
        if deadline is not None and time.monotonic() + estimates[kernel] > deadline:
            continue
        progress(kernel.name)
        done[kernel] = _row(computer, kernel, sets, test, regularisation)
    draws = collections.Counter(one.name for one in sets)
    return KrrTable(
        names=tuple(draws),
        rows=tuple(done[kernel] for kernel in kernels if kernel in done),
        left_out=tuple(KrrRow(k, {}, estimates[k]) for k in kernels if k not in done),
        draws=max(draws.values()),
        test_images=len(test.images),
        out_of=test.out_of,
        seconds=seconds,
    )


def in_turn(estimates: Mapping[Kernel, float], seconds: float) -> list[Kernel]:
    """Return kernels in the order in which they get their share of the time.

    Those that take next to none of it come first, then the set's own, then the others from cheap
    to dear.

    Args:
        estimates: of the seconds that each takes.
        seconds: for all of them.
    """
    dear = _CHEAP * seconds
    return sorted(
        estimates,
        key=lambda kernel: (estimates[kernel] > dear, not kernel.is_own, estimates[kernel]),
    )


def _row(
    computer: KernelComputer,
    kernel: Kernel,
    sets: Sequence[SupportSet],
    test: TestImages,
    regularisation: float,
) -> KrrRow:
    started = time.monotonic()
    found: dict[str, list[float]] = {one.name: [] for one in sets}
    for one in sets:
        chunks = ((test.images[p], test.labels[p]) for p in slices(len(test.images), _CHUNK))
        try:
            scores = evaluate_krr(
                computer, kernel.spec, one.images, one.labels, chunks, regularisation
            )
        except FloatingPointError:  # Images that are nearly equal, or far out of range.
            continue
        found[one.name].append(scores.accuracy)
    accuracies = {name: Accuracy.of(values) if values else None for name, values in found.items()}
    return KrrRow(kernel, accuracies, time.monotonic() - started)


def _seconds_per_element(
    computer: KernelComputer, spec: KernelSpec, x_s: np.ndarray, x_t: np.ndarray
) -> float:
    s, t = min(_FIRST[0], len(x_s)), min(_FIRST[1], len(x_t))
    computer.cross(spec, x_t[:t], x_s[:s])  # Loops are compiled, or read from the disk.
    while True:
        taken = min(_seconds_of_block(computer, spec, x_s[:s], x_t[:t]) for _ in range(2))
        if taken > _LONG_ENOUGH or (s, t) == (len(x_s), len(x_t)):
            return taken / (s * t)
        s, t = min(2 * s, len(x_s)), min(4 * t, len(x_t))


def _seconds_of_block(
    computer: KernelComputer, spec: KernelSpec, x_s: np.ndarray, x_t: np.ndarray
) -> float:
    started = time.monotonic()
    computer.cross(spec, x_t, x_s)
    return time.monotonic() - started
