"""A step on many workers, played before there are any."""

import dataclasses
import math
from collections.abc import Sequence

from stillhouse.data.pixel_images import is_seen_as_pixels
from stillhouse.kernels.spec import KernelSpec
from stillhouse.kernels.tiling import tile_elements, tiles_of_step, tiles_of_targets
from stillhouse.launch.calibration import Calibration, StepCalibration
from stillhouse.launch.job import Job
from stillhouse.launch.sampling import SampledStep
from stillhouse.methods.kernel_regression.kernel_settings import KernelSettings
from stillhouse.methods.kernel_regression.tiled import outline_step
from stillhouse.server.planned import PlannedTask, planned
from stillhouse.server.simulation import simulate

_F32 = 4
# Tiles for each worker that are tried: a little fewer than a whole number of them, as tiles of K_ss
# are smaller and come too. Of too many fast workers it is best if some have none.
_TILES_OF_A_WORKER = (0.08, 0.14, 0.2, 0.28, 0.4, 0.55, 0.75, 0.95, 1.1, 1.9, 2.2, 3, 4)
_FEWEST_ELEMENTS = 256
# What suits the kernel is left as it is for less than that.
_WORTH_IT = 0.97
# Fewer workers are enough for a step if it takes so many times as long.
_AS_FAST = 1.03


@dataclasses.dataclass(frozen=True)
class ServerCosts:
    """What answering costs a server, as benchmarks/scheduling.py measures it over gRPC.

    Attributes:
        call: seconds of a call, without its bytes.
        down: bytes that a thread sends in a second.
        up: bytes that a thread takes in, checks and adds in a second.
        threads: how many move bytes beside each other; two fill a network of ten gigabits.
        poll: seconds for which a call for tasks is kept where there are none.
    """

    call: float = 4e-4
    down: float = 1.2e9
    up: float = 5.5e8
    threads: int = 2
    poll: float = 60.0


COSTS = ServerCosts()


@dataclasses.dataclass(frozen=True)
class StepSizes:
    """A step, as far as it matters who computes it.

    Attributes:
        spec: the kernel.
        image_shape: height, width and channels of an image.
        support: the number of support images, s.
        targets: the number of target images, t.
        learns_images: whether there is a backward pass too.
        tile_elements: kernel elements of a tile; None for what suits the kernel.
        target_bytes: of a value of a target image, as it travels.
    """

    spec: KernelSpec
    image_shape: tuple[int, int, int]
    support: int
    targets: int
    learns_images: bool = True
    tile_elements: int | None = None
    target_bytes: int = _F32

    @property
    def elements(self) -> int:
        """Kernel elements of a pass."""
        squares = self.support * (self.support + 1) // 2 if self.learns_images else 0
        return squares + self.support * self.targets


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
    return _plan_tiles(sizes_of(job), calibration, workers)


def better_tiles(
    job: Job, calibration: Calibration | StepCalibration, workers: int
) -> tuple[int, FleetPlan] | None:
    """Return a size of tiles by which workers as fast as this machine are busier, and their step.

    None where a run's own tiles are as good, or were asked for, or it has none.
    """
    if isinstance(calibration, StepCalibration):
        return None
    own = job.config.own
    if not isinstance(own, KernelSettings) or own.tile_elements is not None:
        return None
    sizes, forward = sizes_of(job), calibration.forward
    backward = calibration.backward or forward
    elements = best_tile_elements(sizes, workers, forward=forward, backward=backward)
    if elements is None:
        return None
    sizes = dataclasses.replace(sizes, tile_elements=elements)
    return elements, _plan_tiles(sizes, calibration, workers)


def enough_workers(job: Job, calibration: Calibration | StepCalibration, fastest: FleetPlan) -> int:
    """Return how few workers, of those of a plan halved again and again, are about as fast.

    Args:
        job: the run.
        calibration: how fast this machine is, as each of them.
        fastest: a step by all of them, by the tiles that suit them.
    """
    enough = fastest.workers
    while enough > 1:
        fewer = (enough + 1) // 2
        better = better_tiles(job, calibration, fewer)
        plan = plan_fleet(job, calibration, fewer) if better is None else better[1]
        if plan.seconds > _AS_FAST * fastest.seconds:
            break
        enough = fewer
    return enough


def _plan_tiles(sizes: StepSizes, calibration: Calibration, workers: int) -> FleetPlan:
    return plan_step(
        sizes,
        workers,
        forward=calibration.forward,
        backward=calibration.backward,
        alone=calibration.ridge,
        batch=calibration.batch,
    )


def sizes_of(job: Job) -> StepSizes:
    """Return the sizes of a step of a run.

    Raises:
        ValueError: if its method is none of kernel regression.
    """
    own, data = job.config.own, job.dataset
    if not isinstance(own, KernelSettings):
        raise ValueError(f"the steps of {job.config.method.method} are no tiles of a kernel")
    return StepSizes(
        next(iter(own.kernels().values())),
        data.image_shape,
        job.support_size,
        job.targets,
        learns_images=job.cost.backward_elements > 0,
        tile_elements=own.tile_elements,
        target_bytes=_target_bytes(job),
    )


def _target_bytes(job: Job) -> int:
    """Return the bytes of a value of a target image as it travels."""
    if job.config.own.augmentation() is not None or not is_seen_as_pixels(
        job.config.data.transform, job.dataset.x_train.dtype
    ):
        return _F32
    return 1


def best_tile_elements(
    sizes: StepSizes,
    workers: int,
    *,
    forward: float,
    backward: float,
    costs: ServerCosts = COSTS,
) -> int | None:
    """Return for which size of a tile a step takes so many workers the least time.

    A few sizes are played: some tiles for each worker, so that none waits long for the last ones,
    yet as few as may be, since with each more images go down and gradients come back.

    Args:
        sizes: of the step.
        workers: how many there are.
        forward: seconds in which one of them computes a kernel element.
        backward: seconds in which it differentiates one.
        costs: of the server.

    Returns:
        Kernel elements of a tile; None where what suits the kernel is as good.
    """
    usual = tile_elements(sizes.spec, sizes.image_shape)

    def seconds(elements: int | None) -> float:
        asked = dataclasses.replace(sizes, tile_elements=elements)
        speeds = {"forward": forward, "backward": backward, "alone": 0.0}
        return plan_step(asked, workers, **speeds, costs=costs).seconds

    tried = {round(sizes.elements / (share * workers)) for share in _TILES_OF_A_WORKER}
    # Smaller ones than usual help where there are more workers than usual tiles, to some end.
    found = sorted({max(elements, _FEWEST_ELEMENTS) for elements in tried}, reverse=True)
    times = {elements: seconds(elements) for elements in found if elements > usual // 8}
    if not times:
        return None
    best = min(times, key=lambda elements: (times[elements], -elements))
    return best if times[best] < _WORTH_IT * seconds(None) else None


def _plan_sampled(calibration: StepCalibration, workers: int) -> FleetPlan:
    """Return what a step takes whose tasks are known."""
    sampled = calibration.tasks
    least = _least_bytes(sampled, workers)
    alone = calibration.alone - calibration.batch
    speed = sampled.seconds_per_unit
    return _played(sampled.passes, workers, speed, alone, least, batch=calibration.batch)


def _least_bytes(sampled: SampledStep, workers: int) -> int:
    tasks = [task for tasks in sampled.passes for task in tasks]
    blobs = {name: size for task in tasks for name, size in task.blobs.items()}
    of_all = [name for name in blobs if all(name in task.blobs for task in tasks)]
    copies = min(workers, len(tasks)) - 1
    again = copies * sum(blobs[name] for name in of_all)
    return sum(blobs.values()) + again + sum(task.bytes_down for task in tasks)


def plan_step(
    sizes: StepSizes,
    workers: int,
    *,
    forward: float,
    backward: float,
    alone: float,
    batch: float = 0.0,
    costs: ServerCosts = COSTS,
) -> FleetPlan:
    """Return what a step takes, by the scheduler that would lend its tasks.

    Args:
        sizes: of the step.
        workers: how many there are, of one speed; they come with nothing in their caches.
        forward: seconds in which a worker computes a kernel element.
        backward: seconds in which it differentiates one.
        alone: seconds for which only the server works.
        batch: seconds in which it makes the next target batch meanwhile.
        costs: of the server.
    """
    cut = tiles_of_step if sizes.learns_images else tiles_of_targets
    tiles = cut(
        *(sizes.spec, sizes.image_shape, sizes.support, sizes.targets), asked=sizes.tile_elements
    )
    values = math.prod(sizes.image_shape)
    first, second = outline_step(sizes.spec, tiles, sizes.image_shape, sizes.target_bytes)
    passes = planned(first), planned(second, cost=backward / forward)
    least = (workers * sizes.support * _F32 + sizes.targets * sizes.target_bytes) * values
    played = passes if sizes.learns_images else passes[:1]
    return _played(played, workers, forward, alone, least, batch=batch, costs=costs)


def _played(
    passes: Sequence[Sequence[PlannedTask]],
    workers: int,
    seconds_per_unit: float,
    alone: float,
    least_bytes: int,
    *,
    batch: float,
    costs: ServerCosts = COSTS,
) -> FleetPlan:
    """Play a step's passes, and add the seconds for which only the server works.

    Making a batch takes no time of its own, unless it takes longer than all else.
    """
    played = simulate(
        *passes,
        workers=workers,
        seconds_per_unit=seconds_per_unit,
        rpc_seconds=costs.call,
        bytes_per_second=costs.down,
        bytes_per_second_up=costs.up,
        byte_threads=costs.threads,
        poll_seconds=costs.poll,
    )
    seconds = max(played.seconds + alone, batch)
    busy_share = played.busy_share * played.seconds / seconds
    return FleetPlan(workers, seconds, busy_share, played.bytes_down, played.bytes_up, least_bytes)
