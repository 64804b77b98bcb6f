"""What the training of a pool would cost: passes, memory, bytes on disk, and time here."""

import dataclasses
import itertools
import math
import time
from typing import Any

import numpy as np

from stillhouse.data.memory import available_memory
from stillhouse.data.transforms import Transform, fit_transform
from stillhouse.launch.pretraining import PretrainJob
from stillhouse.launch.progress import short_time
from stillhouse.methods.costs import RunSizes, check_memory, network_cost
from stillhouse.networks.descent import EVALUATION_BATCH, Programs, accuracy, descend, programs_for

_LONG_ENOUGH = 0.5  # seconds of steps, warm
_PROGRAM_BYTES = 400 * 2**20


@dataclasses.dataclass(frozen=True)
class PretrainPlan:
    """The cost of a pool.

    Attributes:
        networks: how many are missing.
        steps: of each.
        passes: images once forward and back, of all.
        memory: what is in memory at the peak of a process, `(name, bytes)`, largest first.
        disk_bytes: what will be written.
        start: seconds, to fit the transform and to compile.
        network: seconds of a network.
        workers: how many train at a time.
    """

    networks: int
    steps: int
    passes: int
    memory: tuple[tuple[str, int], ...]
    disk_bytes: int
    start: float
    network: float
    workers: int

    @property
    def seconds(self) -> float:
        """How long all of it takes, with workers as fast as this machine."""
        return self.start + math.ceil(self.networks / self.workers) * self.network

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "networks": self.networks,
            "steps": self.steps,
            "passes": self.passes,
            "memory_bytes": sum(size for _, size in self.memory),
            "memory": dict(self.memory),
            "available_bytes": available_memory(),
            "disk_bytes": self.disk_bytes,
            "seconds_per_network": self.network,
            "workers": self.workers,
            "seconds": round(self.seconds, 3),
        }

    def lines(self) -> list[str]:
        """Return it for people."""
        parts = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in self.memory if size >= 5e6)
        each = f"{short_time(self.network)} a network of {self.steps:,} steps"
        crew = f" by {self.workers:,} workers" if self.workers > 1 else ""
        return [
            f"passes           {self.passes:,} images once forward and back",
            f"memory           about {sum(size for _, size in self.memory) / 1e9:.2f} GB of "
            f"{available_memory() / 1e9:.2f} GB available ({parts})",
            f"disk             about {self.disk_bytes / 1e6:.1f} MB",
            f"time             about {short_time(self.seconds)} here{crew}: {each}",
        ]


def plan_pretraining(job: PretrainJob) -> PretrainPlan:
    """Return what a training would cost, from its sizes and a few of its steps.

    Raises:
        ValueError: if memory would not suffice.
    """
    begun = time.perf_counter()
    transform = fit_transform(job.info.transform, job.dataset.x_train)
    start = time.perf_counter() - begun
    missing = job.folder.missing()
    work = sum(task.work for task in job.tasks(transform, missing))
    training, shape = job.info.training, job.info.dataset.image_shape
    outputs = len(job.info.dataset.class_names)
    programs = programs_for(job.info.network, training.objective, shape, outputs)
    batch = min(training.batch_size, job.info.train_images)
    sizes = RunSizes(
        image_shape=shape,
        num_classes=outputs,
        train=len(job.dataset.y_train),
        test=len(job.dataset.y_test),
        support=1,
        chunk=max(batch, EVALUATION_BATCH),
        pixel_bytes=job.dataset.x_train.itemsize,
        zca=job.info.transform.startswith("zca"),
        kernel_bytes=_PROGRAM_BYTES,
    )
    each = 4 * job.info.build().size * (1 + len(job.info.snapshot_steps))
    memory = {"a step": programs.step_bytes(batch), "weights along the way": each}
    cost = network_cost(sizes, passes=work, memory=memory)
    check_memory(cost, available_memory())
    compiling, step, image = _timings(job, programs, transform, batch)
    steps = training.steps(job.info.train_images)
    return PretrainPlan(
        len(missing),
        steps,
        work,
        cost.memory,
        each * len(missing),
        start + compiling,
        steps * step + len(job.dataset.y_test) * image,
        job.config.engine.workers,
    )


def _timings(
    job: PretrainJob, programs: Programs, transform: Transform, batch: int
) -> tuple[float, float, float]:
    """Return the seconds of compiling, of a step, and of an image that is predicted."""
    one_hot = np.eye(programs.num_classes, dtype=np.float32)
    images = job.dataset

    def shown() -> tuple[np.ndarray, np.ndarray]:
        return transform.apply(images.x_train[:batch]), one_hot[images.y_train[:batch]]

    params, state = programs.network.init(0)
    rates, batches = itertools.repeat(0.0), (shown() for _ in itertools.count())
    walk = descend(programs, params, state, rates, batches)
    begun = time.perf_counter()
    np.asarray(next(walk)[2])
    cold, begun, steps = time.perf_counter() - begun, time.perf_counter(), 0
    while steps < 1 or time.perf_counter() - begun < _LONG_ENOUGH:
        np.asarray(next(walk)[2])
        steps += 1
    step = (time.perf_counter() - begun) / steps
    x, y = images.x_test[:EVALUATION_BATCH], images.y_test[:EVALUATION_BATCH]
    for _ in range(2):  # The first one compiles.
        begun = time.perf_counter()
        accuracy(programs, params, state, x, y, prepare=transform.apply)
        predicted = time.perf_counter() - begun
    return max(cold - step, 0.0), step, predicted / len(x)
