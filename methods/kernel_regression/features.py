"""Kernels by random features, whoever computes these: one task for each network.

Features travel, not cotangents of the kernel: the forward pass of the targets is nine tenths of a
step, and a worker that was sent cotangents would have to do it again. So a step asks for the
features of both sets, then for the gradient by the support images alone; a network's features are
as many bytes as its images, or fewer.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from stillhouse.data.pixel_images import Images
from stillhouse.data.sampling import rng_for
from stillhouse.kernels.architecture import Dense
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.kernel_regression.feature_layers import Width
from stillhouse.methods.kernel_regression.one_thread import one_thread
from stillhouse.methods.programs import RandomFeatures, RandomFeaturesVjp
from stillhouse.methods.tasks import Task, TaskRunner

Features = list[np.ndarray]
"""The features of a set by each network, float32 `[n, d]`."""


def network_seeds(seed: int, group: int, networks: int) -> tuple[int, ...]:
    """Return the seeds of the networks of a group, a function of the arguments alone."""
    drawn = rng_for(seed, "random features", group).integers(2**62, size=networks)
    return tuple(map(int, drawn))


@dataclasses.dataclass(frozen=True)
class FeatureTasks:
    """The tasks of random features, and how their results make a kernel.

        K(x, x') = 1/N sum_i <phi_i(x), phi_i(x')> + b_std^2

    Products are float32, as those of exact kernels; sums over the networks are float64, in their
    order.

    Attributes:
        spec: whose architecture the networks have.
        width: of the networks, of all layers or of each.
        runner: computes the tasks.
    """

    spec: KernelSpec
    width: Width
    runner: TaskRunner

    def features(self, seeds: Sequence[int], *images: Images) -> list[Features]:
        """Return for each set of images `[n, h, w, c]`, or pixels, its features by each network."""
        program = RandomFeatures(self.spec, self.width)
        tasks = [Task(program, images, (_own(seed),)) for seed in seeds]
        by_network = list(self.runner.results(tasks))
        return [[found[i] for found in by_network] for i in range(len(images))]

    def gradient(self, seeds: Sequence[int], images: np.ndarray, g: Features) -> np.ndarray:
        """Return the gradient by images from the cotangents of their features, summed in order.

        Args:
            seeds: of the networks.
            images: float32 `[n, h, w, c]`.
            g: the cotangent by each network, float32 `[n, d]`.
        """
        program = RandomFeaturesVjp(self.spec, self.width)
        tasks = [
            Task(program, (images,), (_own(seed), some))
            for seed, some in zip(seeds, g, strict=True)
        ]
        total = np.zeros(images.shape)
        for (part,) in self.runner.results(tasks):
            total += part
        return total.astype(np.float32)

    def kernel(self, one: Features, other: Features) -> np.ndarray:
        """Return the kernel of two sets, float64 `[n, m]`."""
        total = np.zeros((len(one[0]), len(other[0])))
        with one_thread():
            for a, b in zip(one, other, strict=True):
                total += a @ b.T
        last = self.spec.architecture.layers[-1]
        assert isinstance(last, Dense), "every architecture ends with one"
        return total / len(one) + last.b_std**2

    def cotangents(
        self, g_ss: np.ndarray, g_ts: np.ndarray, support: Features, targets: Features
    ) -> Features:
        """Return dL/d(features of the support set) by each network, from dL/dK_ss and dL/dK_ts."""
        both, cross = (g_ss + g_ss.T).astype(np.float32), g_ts.T.astype(np.float32)
        with one_thread():
            return [
                (both @ f_s + cross @ f_t) / np.float32(len(support))
                for f_s, f_t in zip(support, targets, strict=True)
            ]


class FeatureComputer:
    """A `KernelComputer` that estimates kernels by random features; it has no derivatives.

    Args:
        runner: computes the tasks.
        width: of the networks.
        networks: how many there are.
        seed: of them.

    Attributes:
        elements: zero; its work is counted in passes.
    """

    def __init__(self, runner: TaskRunner, *, width: Width, networks: int, seed: int = 0) -> None:
        self.elements = 0
        self._runner, self._width = runner, width
        self._seeds = network_seeds(seed, 0, networks)
        self._kept: tuple[KernelSpec, np.ndarray, Features] | None = None

    def gram(self, spec: KernelSpec, x: np.ndarray) -> np.ndarray:
        """Return the symmetric kernel of `x` with itself, float32 `[n, n]`."""
        found = self._of_support(spec, x)
        return self._tasks(spec).kernel(found, found).astype(np.float32)

    def cross(self, spec: KernelSpec, x: Images, x_s: np.ndarray) -> np.ndarray:
        """Return the kernel of `x` with `x_s`, float32 `[n, s]`."""
        (found,) = self._tasks(spec).features(self._seeds, np.asarray(x, np.float32))
        return self._tasks(spec).kernel(found, self._of_support(spec, x_s)).astype(np.float32)

    def forward(
        self, spec: KernelSpec, x_s: np.ndarray, x_t: Images
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return K_ss `[s, s]` and K_ts `[t, s]`, float32."""
        return self.gram(spec, x_s), self.cross(spec, x_t, x_s)

    def backward(
        self,
        spec: KernelSpec,
        x_s: np.ndarray,
        x_t: Images,
        g_ss: np.ndarray,
        g_ts: np.ndarray,
    ) -> np.ndarray:
        """Return dL/dx_s, float32 `[s, h, w, c]`, from dL/dK_ss and dL/dK_ts."""
        tasks, support = self._tasks(spec), self._of_support(spec, x_s)
        (targets,) = tasks.features(self._seeds, np.asarray(x_t, np.float32))
        g = tasks.cotangents(g_ss, g_ts, support, targets)
        return tasks.gradient(self._seeds, np.asarray(x_s, np.float32), g)

    def _tasks(self, spec: KernelSpec) -> FeatureTasks:
        return FeatureTasks(spec, self._width, self._runner)

    def _of_support(self, spec: KernelSpec, x: np.ndarray) -> Features:
        """Return the features of a set that is asked for again and again."""
        if self._kept is None or self._kept[0] != spec or self._kept[1] is not x:
            (found,) = self._tasks(spec).features(self._seeds, np.asarray(x, np.float32))
            self._kept = spec, x, found
        return self._kept[2]


def _own(seed: int) -> np.ndarray:
    return np.array([seed], np.int64)
