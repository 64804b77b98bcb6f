"""A step on many workers, played before there are any."""

import dataclasses
import math
from collections.abc import Sequence

from stillhouse.kernels.spec import KernelSpec
from stillhouse.kernels.tiling import cross_tiles, plan_tiles, tile_elements
from stillhouse.launch.calibration import Calibration, StepCalibration
from stillhouse.launch.job import Job
from stillhouse.launch.sampling import SampledStep
from stillhouse.methods.kernel_regression.kernel_settings import KernelSettings
from stillhouse.methods.kernel_regression.tiled import outline_step
from stillhouse.server.planned import PlannedTask, planned
from stillhouse.server.simulation import simulate

# What a call takes the server, as benchmarks/scheduling.py measures it on two cores that it shares
# with all workers, and what a network of two gigabits brings; loopback brings four times as much.
_CALL_SECONDS, _BYTES_PER_SECOND = 4e-4, 2e8
_F32 = 4


@dataclasses.dataclass(frozen=True)
class StepSizes:
    """A step, as far as it matters who computes it.

    Attributes:
        spec: the kernel.
        image_shape: height, width and channels of an image.
        support: the number of support images, s.
        targets: the number of target images, t.
        learns_images: whether there is a backward pass too.
    """

    spec: KernelSpec
    image_shape: tuple[int, int, int]
    support: int
    targets: int
    learns_images: bool = True


@dataclasses.dataclass(frozen=True)
class FleetPlan:
    """What a step on many workers would take.

    Attributes:
        workers: how many there are.
        seconds: of the step.
        busy_share: of the workers' time, what they spend computing.
        bytes_down: what the server sends them.
        bytes_up: what they send back.
        least_bytes: what it must send them at least: to each what all tasks have, such as the
            support images, and everything else once.
    """

    workers: int
    seconds: float
    busy_share: float
    bytes_down: int
    bytes_up: int
    least_bytes: int

    @property
    def ratio(self) -> float:
        """All bytes that move, over the least that must."""
        return (self.bytes_down + self.bytes_up) / self.least_bytes


def plan_fleet(job: Job, calibration: Calibration | StepCalibration, workers: int) -> FleetPlan:
    """Return what a step of a run takes with so many workers, each as fast as this machine.

    Where steps sample one of several kernels it is a step of the first.

    Raises:
        ValueError: if tiles were timed, and its method is none of kernel regression.
    """
    if isinstance(calibration, StepCalibration):
        return _plan_sampled(calibration, workers)
    if not isinstance(job.config.own, KernelSettings):
        raise ValueError(f"the steps of {job.config.method.method} are no tiles of a kernel")
    sizes = StepSizes(
        next(iter(job.config.own.kernels().values())),
        job.dataset.image_shape,
        job.support_size,
        job.targets,
        learns_images=job.cost.backward_elements > 0,
    )
    return plan_step(
        sizes,
        workers,
        forward=calibration.forward,
        backward=calibration.backward,
        alone=calibration.step,
    )


def _plan_sampled(calibration: StepCalibration, workers: int) -> FleetPlan:
    """Return what a step takes whose tasks are known."""
    sampled = calibration.tasks
    least = _least_bytes(sampled, workers)
    return _played(sampled.passes, workers, sampled.seconds_per_unit, calibration.alone, least)


def _least_bytes(sampled: SampledStep, workers: int) -> int:
    tasks = [task for tasks in sampled.passes for task in tasks]
    blobs = {name: size for task in tasks for name, size in task.blobs.items()}
    of_all = [name for name in blobs if all(name in task.blobs for task in tasks)]
    copies = min(workers, len(tasks)) - 1
    again = copies * sum(blobs[name] for name in of_all)
    return sum(blobs.values()) + again + sum(task.bytes_down for task in tasks)


def plan_step(
    sizes: StepSizes, workers: int, *, forward: float, backward: float, alone: float
) -> FleetPlan:
    """Return what a step takes, by the scheduler that would lend its tasks.

    Args:
        sizes: of the step.
        workers: how many there are, of one speed; they come with nothing in their caches.
        forward: seconds in which a worker computes a kernel element.
        backward: seconds in which it differentiates one.
        alone: seconds for which only the server works.
    """
    elements = tile_elements(sizes.spec, sizes.image_shape)
    if sizes.learns_images:
        tiles = plan_tiles(sizes.support, sizes.targets, elements=elements)
    else:
        tiles = cross_tiles(sizes.targets, sizes.support, elements=elements)
    image_bytes = _F32 * math.prod(sizes.image_shape)
    first, second = outline_step(sizes.spec, tiles, sizes.image_shape)
    passes = planned(first), planned(second, cost=backward / forward)
    least = (workers * sizes.support + sizes.targets) * image_bytes
    return _played(passes if sizes.learns_images else passes[:1], workers, forward, alone, least)


def _played(
    passes: Sequence[Sequence[PlannedTask]],
    workers: int,
    seconds_per_unit: float,
    alone: float,
    least_bytes: int,
) -> FleetPlan:
    """Play a step's passes, and add the seconds for which only the server works."""
    played = simulate(
        *passes,
        workers=workers,
        seconds_per_unit=seconds_per_unit,
        rpc_seconds=_CALL_SECONDS,
        bytes_per_second=_BYTES_PER_SECOND,
    )
    seconds = played.seconds + alone
    busy_share = played.busy_share * played.seconds / seconds
    return FleetPlan(workers, seconds, busy_share, played.bytes_down, played.bytes_up, least_bytes)
