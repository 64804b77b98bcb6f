"""From settings to a job: everything that can be wrong with them is found here."""

import dataclasses
import math
import re
import warnings
from pathlib import Path
from typing import cast

import numpy as np

from stillhouse.data.dataset import Dataset
from stillhouse.data.memory import available_memory
from stillhouse.data.sampling import check_class_balanced
from stillhouse.kernels.spec import KernelSpec, Kind
from stillhouse.launch.architectures import (
    POOLABLE,
    build_architecture,
    default_depth,
    parse_ensemble,
)
from stillhouse.launch.errors import Note
from stillhouse.launch.job import Job
from stillhouse.launch.reading import read_dataset
from stillhouse.launch.settings.run import DistillConfig, KernelConfig, SupportConfig
from stillhouse.methods.coresets import check_support_size
from stillhouse.methods.costs import (
    RunCost,
    RunSizes,
    check_memory,
    kip_cost,
    label_solve_cost,
    step_elements,
)
from stillhouse.methods.keep_best import hold_out
from stillhouse.methods.programs import Context
from stillhouse.server.run_folder import RunFolder
from stillhouse.server.schedule import Schedule
from stillhouse.workers.local import LocalRunner

_TARGETS = 1000
# What a compiled kernel holds beside its arguments and results.
_KERNEL_BYTES = 400 * 2**20


def prepare(config: DistillConfig, dataset: Dataset | None = None, *, for_real: bool = True) -> Job:
    """Check settings against data, memory and folder, and return what they make.

    Args:
        config: the settings.
        dataset: what to distil, where it is at hand; None to load what the settings name.
        for_real: check memory and folder too, as for a run that follows.

    Raises:
        ValueError: if anything about them is wrong.
        OSError: if a file or folder cannot be read or written.
    """
    kernels = build_kernels(config.kernel)
    method = config.method
    out = None if config.run.out is None else Path(config.run.out).expanduser()
    if for_real and out is not None:
        RunFolder(out).check_writable()  # Before a large dataset is read.
    if dataset is None:
        dataset = read_dataset(config.data.dataset, config.reading)
    for spec in kernels.values():
        spec.architecture.check_image(*dataset.image_shape[:2])
    support_size = _support_size(config.support, dataset)
    best = method.method == "kip" and method.keep == "best"
    learning, chosen_by = hold_out(dataset) if best else (dataset, None)
    targets = _targets(method.target_batch, learning)
    _say_shrunk(targets, method.target_batch, learning)
    chunks = math.ceil(len(dataset.y_train) / targets)
    schedule = Schedule(
        method.steps if method.method == "kip" else chunks,
        config.run.checkpoint_every,
        config.run.eval_every,
    )
    cost = _cost(config, dataset, len(kernels), support_size, targets, schedule)
    if for_real:
        check_memory(cost, available_memory())
    context = Context(config.compute.backend, config.compute.threads)
    # Raises if the backend cannot.
    backend, *_ = (context.kernel(spec).backend for spec in kernels.values())
    folder = RunFolder(out or _default_folder(config, dataset, kernels, support_size))
    job = Job(
        config=config,
        dataset=dataset,
        kernels=kernels,
        support_size=support_size,
        targets=targets,
        schedule=schedule,
        cost=cost,
        backend=backend,
        runner=LocalRunner(context),
        folder=folder,
        learning=learning,
        chosen_by=chosen_by,
    )
    if for_real:
        # Four checkpoints at a time, each with the images and Adam's two moments of them.
        images = support_size * math.prod(dataset.image_shape) * 4
        folder.check(job.identity, bytes_needed=16 * images + 2**20, growing=job.growing)
    return job


def build_kernels(config: KernelConfig) -> dict[str, KernelSpec]:
    """Return the kernels that the settings name, each under its family and depth.

    Raises:
        ValueError: if there is no such architecture.
    """
    depth = default_depth(config.architecture) if config.depth is None else config.depth
    members = parse_ensemble(config.ensemble) or ((config.architecture, depth),)
    return {
        f"{name}:{depth}": KernelSpec(
            build_architecture(
                name,
                depth,
                W_std=config.W_std,
                b_std=config.b_std,
                # In an ensemble, for those that have a choice.
                global_pool=config.global_pool and (not config.ensemble or name in POOLABLE),
            ),
            cast(Kind, config.kernel),
        )
        for name, depth in members
    }


def _support_size(config: SupportConfig, dataset: Dataset) -> int:
    size = config.support_size or config.ipc * dataset.num_classes
    # Noise has no need of real images.
    labels = None if config.init == "noise" else dataset.y_train
    try:
        check_support_size(size, dataset.num_classes, labels)
    except ValueError as error:
        raise ValueError(
            f"`--{'support_size' if config.support_size else 'ipc'}`: {error}"
        ) from error
    return size


def _targets(asked: int | None, dataset: Dataset) -> int:
    counts = np.bincount(dataset.y_train, minlength=dataset.num_classes)
    if asked is None:
        return min(_TARGETS, int(counts.min()) * dataset.num_classes)
    try:
        check_class_balanced(counts, asked)
    except ValueError as error:
        raise ValueError(f"`--target_batch`: {error}") from error
    return asked


def _say_shrunk(targets: int, asked: int | None, dataset: Dataset) -> None:
    """Warn of a target batch that one rare class makes far smaller than it would be."""
    counts = np.bincount(dataset.y_train, minlength=dataset.num_classes)
    usual = min(_TARGETS, len(dataset.y_train))
    if asked is None and 2 * targets < usual:
        rarest = int(counts.argmin())
        warnings.warn(
            f"a step learns from {targets} of {len(dataset.y_train):,} images: a batch has as many "
            f"of each class, and class {dataset.class_names[rarest]!r} has {counts[rarest]}; give "
            "it more images, or leave it out",
            Note,
            stacklevel=3,
        )


def _cost(
    config: DistillConfig,
    dataset: Dataset,
    kernels: int,
    support_size: int,
    targets: int,
    schedule: Schedule,
) -> RunCost:
    sizes = RunSizes(
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
    # At the end the other kernels of an ensemble score the set too.
    evaluations = schedule.evaluations + kernels - 1
    if config.method.method == "kip":
        cost = kip_cost(sizes, targets=targets, steps=schedule.steps, evaluations=evaluations)
    else:
        cost = label_solve_cost(sizes, evaluations=evaluations)
    scored = step_elements(support_size, targets)  # The sample of training images at the end.
    return dataclasses.replace(cost, forward_elements=cost.forward_elements + scored)


def _default_folder(
    config: DistillConfig, dataset: Dataset, kernels: dict[str, KernelSpec], size: int
) -> Path:
    networks = "-".join(kernels).replace(":", "")
    text = f"{dataset.name}-{config.method.method}-{networks}-{size}"
    return Path("runs") / re.sub(r"[^\w.-]+", "_", text)
