"""From settings to a job: everything that can be wrong with them is found here."""

import math
import re
import warnings
from pathlib import Path

import numpy as np

from stillhouse.data.dataset import Dataset
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.memory import available_memory
from stillhouse.launch.errors import Note
from stillhouse.launch.first_support import load_starting_set
from stillhouse.launch.fleet_tiles import with_planned_tiles
from stillhouse.launch.job import Job
from stillhouse.launch.reading import read_dataset
from stillhouse.launch.settings.run import DistillConfig, SupportConfig
from stillhouse.methods.coresets import check_support_size
from stillhouse.methods.costs import (
    RunSizes,
    check_memory,
)
from stillhouse.methods.keep_best import hold_out
from stillhouse.methods.kernel_regression.kernel_settings import TARGETS
from stillhouse.methods.method import Method
from stillhouse.methods.programs import Context
from stillhouse.server.run_folder import RunFolder
from stillhouse.server.schedule import Schedule
from stillhouse.workers.local import LocalRunner

# What a compiled kernel holds beside its arguments and results.
_KERNEL_BYTES = 400 * 2**20


def prepare(
    config: DistillConfig,
    dataset: Dataset | None = None,
    *,
    for_real: bool = True,
    elsewhere: bool = False,
) -> Job:
    """Check settings against data, memory and folder, and return what they make.

    Args:
        config: the settings.
        dataset: what to distil, where it is at hand; None to load what the settings name.
        for_real: check memory and folder too, as for a run that follows.
        elsewhere: whether nothing is computed in this process, which then needs no GPU.

    Raises:
        ValueError: if anything about them is wrong.
        OSError: if a file or folder cannot be read or written.
    """
    method = config.own
    networks = method.learns_through()  # Raises if there are no such.
    out = None if config.run.out is None else Path(config.run.out).expanduser()
    if for_real and out is not None:
        RunFolder(out).check_writable()  # Before a large dataset is read.
    if dataset is None:
        dataset = read_dataset(config.data.dataset, config.reading)
    method.check_image(*dataset.image_shape[:2])
    method.check_data(dataset, config.data.transform)
    starts_from = None
    if config.support.starting_set is not None:
        starts_from = load_starting_set(
            config.support.starting_set, dataset, config.reading.max_bytes
        )
        try:
            method.check_start(starts_from.labels)
        except ValueError as error:
            raise ValueError(f"`--init`: {error}") from error
    support_size = _support_size(config.support, method, dataset, starts_from)
    learning, chosen_by = hold_out(dataset) if method.holds_out() else (dataset, None)
    targets = method.batch_size(learning, support_size)
    _say_shrunk(targets, getattr(method, "target_batch", None), learning)
    schedule = Schedule(
        method.steps_for(dataset), config.run.checkpoint_every, config.run.eval_every or 0
    )
    cost = method.cost(
        _sizes(config, dataset, support_size, targets),
        steps=schedule.steps,
        evaluations=schedule.evaluations,
    )
    if for_real:
        check_memory(cost, available_memory())
    context = Context(config.compute.backend, config.compute.threads)
    asked = config.compute.backend
    backend = asked if elsewhere and asked == "cuda" else method.backend(context)  # Raises.
    job = Job(
        config=config,
        dataset=dataset,
        support_size=support_size,
        targets=targets,
        schedule=schedule,
        cost=cost,
        backend=backend,
        runner=LocalRunner(context),
        folder=RunFolder(out or _default_folder(config, dataset, networks, support_size)),
        learning=learning,
        chosen_by=chosen_by,
        starts_from=starts_from,
    )
    job = with_planned_tiles(job)
    if for_real:
        # Four checkpoints at a time, each with the images and Adam's two moments of them.
        images = support_size * math.prod(dataset.image_shape) * 4
        job.folder.check(job.identity, bytes_needed=16 * images + 2**20, growing=job.growing)
    return job


def _support_size(
    config: SupportConfig, method: Method, dataset: Dataset, starts_from: DistilledSet | None
) -> int:
    classes = dataset.num_classes
    size = config.support_size or method.support_size(config.ipc, classes)
    if starts_from is not None:
        own = len(starts_from.images)
        # One image per class may be what nobody asked for.
        if size != own and (config.support_size is not None or config.ipc != 1):
            raise ValueError(
                f"`--init`: {config.init} has {own:,} images, and {size:,} are asked for; leave "
                f"out `--{'support_size' if config.support_size else 'ipc'}`, or give another set"
            )
        size = own
    # Noise has no need of real images, nor has a set.
    labels = dataset.y_train if config.init in ("real", "kmeans") else None
    try:
        check_support_size(size, classes, labels)
        method.check_support(size, classes)
    except ValueError as error:
        raise ValueError(
            f"`--{'support_size' if config.support_size else 'ipc'}`: {error}"
        ) from error
    return size


def _say_shrunk(targets: int, asked: int | None, dataset: Dataset) -> None:
    """Warn of a target batch that one rare class makes far smaller than it would be."""
    counts = np.bincount(dataset.y_train, minlength=dataset.num_classes)
    rarest = int(counts.argmin())
    shrunk = targets == counts[rarest] * dataset.num_classes
    if asked is None and shrunk and 2 * targets < min(TARGETS, len(dataset.y_train)):
        warnings.warn(
            f"a step learns from {targets} of {len(dataset.y_train):,} images: a batch has as many "
            f"of each class, and class {dataset.class_names[rarest]!r} has {counts[rarest]}; give "
            "it more images, or leave it out",
            Note,
            stacklevel=3,
        )


def _sizes(config: DistillConfig, dataset: Dataset, support_size: int, targets: int) -> RunSizes:
    return RunSizes(
        image_shape=dataset.image_shape,
        num_classes=dataset.num_classes,
        train=len(dataset.y_train),
        test=len(dataset.y_test),
        support=support_size,
        chunk=targets,
        pixel_bytes=dataset.x_train.itemsize,
        zca=config.data.transform.startswith("zca"),
        kernel_bytes=_KERNEL_BYTES,
    )


def _default_folder(
    config: DistillConfig, dataset: Dataset, networks: tuple[str, ...], size: int
) -> Path:
    through = "-".join(networks).replace(":", "")
    text = f"{dataset.name}-{config.method.method}-{through}-{size}"
    return Path("runs") / re.sub(r"[^\w.-]+", "_", text)
