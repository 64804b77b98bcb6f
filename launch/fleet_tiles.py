"""Tiles chosen for the workers that a run is planned for: once, since bits go with them."""

import dataclasses
from typing import Any

from absl import logging

from stillhouse.launch.calibration import calibrate
from stillhouse.launch.fleet import best_tile_elements, sizes_of
from stillhouse.launch.job import Job
from stillhouse.methods.kernel_regression.kernel_settings import KernelSettings
from stillhouse.server.run_folder import RunFolder


def with_planned_tiles(job: Job) -> Job:
    """Return a run with tiles for the workers that its settings plan, if they do.

    A run that is there already keeps those that were chosen for as many, as fast.

    Raises:
        ValueError: if its folder is damaged.
        OSError: if it cannot be read.
    """
    own = job.config.own
    if not isinstance(own, KernelSettings) or own.workers_planned is None:
        return job
    if own.tile_elements is not None:  # It was chosen in the process that started this one.
        return job
    settings = _settings_of(job.folder)
    if all(
        name in settings and settings[name] == getattr(own, name)
        for name in ("workers_planned", "worker_speed")
    ):
        elements = settings.get("tile_elements")
    else:
        elements = _choose(job, own, own.workers_planned)
    chosen = dataclasses.replace(own, tile_elements=elements)
    return dataclasses.replace(job, config=dataclasses.replace(job.config, own=chosen))


def _choose(job: Job, own: KernelSettings, workers: int) -> int | None:
    if own.worker_speed is not None:
        forward = backward = 1 / own.worker_speed
    else:
        found = calibrate(job)
        forward, backward = found.forward, found.backward or found.forward
    elements = best_tile_elements(sizes_of(job), workers, forward=forward, backward=backward)
    what = "as they are by default" if elements is None else f"--tile_elements={elements}"
    logging.info("tiles for %s workers of %.3g elements/s: %s", workers, 1 / forward, what)
    return elements


def _settings_of(folder: RunFolder) -> dict[str, Any]:
    return folder.read_settings() if folder.config.exists() else {}
