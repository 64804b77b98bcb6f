"""What a run costs, known before it starts: kernel elements, passes, and bytes in memory.

Elements are exact: what a `KernelComputer` will have counted at the end. Bytes are an estimate
of the peak, item by item, from the sizes of the arrays that live at one time.
"""

import dataclasses
import math
from collections.abc import Mapping

# Python, JAX, SciPy, scikit-learn and compiled programs, before any data.
_LIBRARIES = 600 * 2**20
_F32, _F64 = 4, 8
# Arrays as large as the data they were made from, alive at one time: the drawn images, the
# augmented ones and the transformed ones.
_BATCH_COPIES = 3
# d x d matrices while ZCA is fitted: covariance, eigenvectors, their workspace, the whitening.
_ZCA_MATRICES = 5
# K_ts in float32 and float64, its cotangent in both, and one product.
_TS_BYTES = 2 * _F32 + 3 * _F64
# K_ss the same, and with its Cholesky factor, the ridge and what is solved for.
_SS_BYTES = 2 * _F32 + 8 * _F64


@dataclasses.dataclass(frozen=True)
class RunSizes:
    """The sizes from which the cost of a run follows.

    Attributes:
        image_shape: height, width and channels of an image.
        num_classes: the number of classes, k.
        train: the number of training images.
        test: the number of test images.
        support: the number of support images, s.
        chunk: how many images are transformed at a time in Label Solve and evaluation.
        pixel_bytes: bytes of a value of the data set as it is held: 1 for uint8, 4 for float32.
        zca: whether the images are whitened.
        kernel_bytes: what the kernel's backend needs for itself.

    Raises:
        ValueError: if a size is not positive (`test` and `kernel_bytes` may be 0).
    """

    image_shape: tuple[int, int, int]
    num_classes: int
    train: int
    test: int
    support: int
    chunk: int
    pixel_bytes: int = 1
    zca: bool = False
    kernel_bytes: int = 0

    def __post_init__(self) -> None:
        for name in ("num_classes", "train", "support", "chunk", "pixel_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be positive, got {getattr(self, name)}")
        for name in ("test", "kernel_bytes"):
            if getattr(self, name) < 0:
                raise ValueError(f"`{name}` must not be negative, got {getattr(self, name)}")


@dataclasses.dataclass(frozen=True)
class RunCost:
    """The cost of a run.

    Attributes:
        forward_elements: kernel elements to compute.
        backward_elements: kernel elements to differentiate; each costs several forward ones.
        memory: what is in memory at the peak, `(name, bytes)`, largest first.
        passes: images once forward and back through a finite network.
    """

    forward_elements: int
    backward_elements: int
    memory: tuple[tuple[str, int], ...]
    passes: int = 0

    @property
    def elements(self) -> int:
        """All elements, as a `KernelComputer` counts them."""
        return self.forward_elements + self.backward_elements

    @property
    def bytes(self) -> int:
        """The estimated peak of memory."""
        return sum(size for _, size in self.memory)


def gram_elements(support: int) -> int:
    """Return the kernel elements of K_ss: s (s + 1) / 2, by its symmetry."""
    return support * (support + 1) // 2


def step_elements(support: int, targets: int) -> int:
    """Return the kernel elements of one pass of a KIP step: s (s + 1) / 2 + s t.

    A step has two passes of as many elements, forward and backward.
    """
    return gram_elements(support) + support * targets


def kip_cost(sizes: RunSizes, *, targets: int, steps: int, evaluations: int) -> RunCost:
    """Return the cost of a run of KIP.

    Args:
        sizes: of the run.
        targets: the number of images of a target batch, t.
        steps: the number of steps.
        evaluations: how often the support set is scored on all test images.

    Raises:
        ValueError: if `targets` is not positive, or `steps` or `evaluations` is negative.
    """
    if targets < 1:
        raise ValueError(f"`targets` must be positive, got {targets}")
    if steps < 0 or evaluations < 0:
        raise ValueError(f"`steps` and `evaluations` must be 0 or more, got {steps}, {evaluations}")
    one_pass = steps * step_elements(sizes.support, targets)
    pixels = math.prod(sizes.image_shape)
    memory = _common_memory(sizes)
    memory["target batch"] = targets * pixels * _F32 * _BATCH_COPIES
    memory["kernel matrices"] = _matrices(sizes, targets)
    # Images, gradient, both moments of Adam, their next values, and the float64 sum of the parts.
    memory["support set and optimiser"] = sizes.support * pixels * (7 * _F32 + _F64)
    return RunCost(one_pass + evaluations * _scoring(sizes, sizes.test), one_pass, _ranked(memory))


def rfad_cost(
    sizes: RunSizes,
    *,
    targets: int,
    networks: int,
    features: int,
    groups: int,
    redraw: int,
    steps: int,
    evaluations: int,
) -> RunCost:
    """Return the cost of a run through random features, which the exact kernel scores.

    Args:
        sizes: of the run.
        targets: the number of images of a target batch, t.
        networks: of a step.
        features: of an image by all of them.
        groups: how many groups of targets and networks are kept; 0 for none.
        redraw: steps after which a group is drawn anew.
        steps: the number of steps.
        evaluations: how often the support set is scored on all test images.
    """
    batches = steps if not groups else min(groups + (steps - 1) // redraw, steps)
    # A third of a pass forward, then one whole pass of the support set.
    passes = networks * (-(-targets * batches // 3) + steps * -(-4 * sizes.support // 3))
    pixels = math.prod(sizes.image_shape)
    memory = _common_memory(sizes)
    memory["target batch"] = targets * pixels * _F32 * _BATCH_COPIES
    memory["kernel matrices"] = _matrices(sizes, targets)
    memory["support set and optimiser"] = sizes.support * pixels * (7 * _F32 + _F64)
    # Those of the support set have cotangents; one network's are there in float64 too.
    kept = targets * max(groups, 1) + 2 * sizes.support
    memory["features"] = features * (kept * _F32 + (targets + sizes.support) * _F64 // networks)
    return RunCost(evaluations * _scoring(sizes, sizes.test), 0, _ranked(memory), passes)


def label_solve_cost(sizes: RunSizes, *, evaluations: int = 1) -> RunCost:
    """Return the cost of Label Solve on all training images.

    Args:
        sizes: of the run.
        evaluations: how often the result is scored on all test images.

    Raises:
        ValueError: if `evaluations` is negative.
    """
    if evaluations < 0:
        raise ValueError(f"`evaluations` must be 0 or more, got {evaluations}")
    solving = _scoring(sizes, sizes.train)
    memory = _common_memory(sizes)
    memory["kernel matrices"] = _matrices(sizes, sizes.chunk)
    memory["support set"] = sizes.support * math.prod(sizes.image_shape) * _F32
    return RunCost(solving + evaluations * _scoring(sizes, sizes.test), 0, _ranked(memory))


def solved_by_features(cost: RunCost, sizes: RunSizes, *, networks: int, features: int) -> RunCost:
    """Return the cost of Label Solve where random features stand in for the kernel.

    Args:
        cost: of the same run by the kernel.
        sizes: of the run.
        networks: how many there are.
        features: of an image by all of them.
    """
    passes = networks * -(-(sizes.support + sizes.train) // 3)
    memory = dict(cost.memory)
    memory["features"] = (sizes.support + sizes.chunk) * features * _F32
    forward = cost.forward_elements - _scoring(sizes, sizes.train)
    return RunCost(forward, 0, _ranked(memory), passes)


def evaluation_cost(sizes: RunSizes, *, images: int) -> RunCost:
    """Return the cost of scoring a support set once on `images` images."""
    memory = _common_memory(sizes)
    memory["kernel matrices"] = _matrices(sizes, min(sizes.chunk, images))
    memory["support set"] = sizes.support * math.prod(sizes.image_shape) * _F32
    return RunCost(_scoring(sizes, images), 0, _ranked(memory))


def network_cost(sizes: RunSizes, *, passes: int, memory: Mapping[str, int]) -> RunCost:
    """Return the cost of a run through finite networks.

    Args:
        sizes: of the run.
        passes: images once forward and back through a network, in all steps.
        memory: what the method itself holds at the peak in one process, in bytes by name.
    """
    found = _common_memory(sizes)
    found["compiled programs"] = found.pop("kernel backend")
    pixels = math.prod(sizes.image_shape)
    found["support set and optimiser"] = sizes.support * pixels * (7 * _F32 + _F64)
    return RunCost(0, 0, _ranked({**found, **memory}), passes)


def check_memory(cost: RunCost, available: int) -> None:
    """Check that a run fits in `available` bytes.

    Raises:
        ValueError: if it does not; the message names the largest parts and what makes them small.
    """
    if cost.bytes <= available:
        return
    parts = ", ".join(f"{name} {size / 1e9:.2f} GB" for name, size in cost.memory[:3])
    raise ValueError(
        f"the run needs about {cost.bytes / 1e9:.2f} GB of memory and {available / 1e9:.2f} GB are "
        f"available; the largest parts are {parts}. {_ADVICE.get(cost.memory[0][0], _SMALLER)}"
    )


_SMALLER = "Use a smaller network, a smaller batch or fewer steps"
_LESS_DATA = "Use a data set of fewer or smaller images"
_ADVICE = {
    "libraries": "Free memory, or use a larger machine",
    "kernel backend": "Use a shallower architecture, or smaller images",
    "data set": _LESS_DATA,
    "chunk": _LESS_DATA,
    "ZCA": "Use another transform, or smaller images",
    "target batch": "Use a smaller target batch",
    "features": "Use fewer or narrower networks, fewer cached groups, or a smaller target batch",
    "kernel matrices": "Use a smaller support set or target batch",
    "support set": "Use a smaller support set",
    "support set and optimiser": "Use a smaller support set",
}


def _scoring(sizes: RunSizes, images: int) -> int:
    return step_elements(sizes.support, images)


def _matrices(sizes: RunSizes, rows: int) -> int:
    return sizes.support * (rows * _TS_BYTES + sizes.support * _SS_BYTES)


def _common_memory(sizes: RunSizes) -> dict[str, int]:
    pixels = math.prod(sizes.image_shape)
    memory = {
        "libraries": _LIBRARIES,
        "kernel backend": sizes.kernel_bytes,
        "data set": (sizes.train + sizes.test) * pixels * sizes.pixel_bytes,
        "chunk": min(sizes.chunk, max(sizes.train, sizes.test)) * pixels * _F32 * _BATCH_COPIES,
    }
    if sizes.zca:
        memory["ZCA"] = pixels**2 * _F64 * _ZCA_MATRICES
    return memory


def _ranked(memory: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(memory.items(), key=lambda item: -item[1]))
