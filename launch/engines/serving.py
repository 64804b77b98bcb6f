"""A run whose tasks are computed by whoever connects."""

import contextlib
import dataclasses
import hashlib
import json
import logging as standard_logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from absl import logging

import stillhouse
from stillhouse.data.batches import TargetBatches
from stillhouse.launch.engines.batches_ahead import batches_ahead
from stillhouse.launch.errors import bad_input
from stillhouse.launch.jobs import AnyJob, kinds_for, run_any
from stillhouse.launch.signals import StopSignals
from stillhouse.server.audit import Audit
from stillhouse.server.blobs import BlobStore
from stillhouse.server.pool import WorkerPool
from stillhouse.server.scheduler import Scheduler
from stillhouse.server.service import Service

# Seconds in which workers hear that the run has ended; each asks at least once a heartbeat.
_FAREWELL_SECONDS = 5.0


def run_description(job: AnyJob) -> dict[str, Any]:
    """Return what workers are told of a run: theirs must be of one version and configuration."""
    identity = json.dumps(job.identity, sort_keys=True)
    return {
        "version": stillhouse.__version__,
        "config_hash": hashlib.sha256(identity.encode()).hexdigest(),
        "backend": job.backend,
        "summary": job.summary(),
    }


@contextlib.contextmanager
def opened_service(
    job: AnyJob, should_stop: Callable[[], bool]
) -> Iterator[tuple[WorkerPool, Service]]:
    """Give the pool of a run and the service by which workers reach it, whatever carries calls.

    Args:
        job: the run.
        should_stop: polled while results are waited for.

    Raises:
        CommandError: if its folder cannot be read, or nothing can listen at its port for metrics.
    """
    asked = job.config.engine
    audit = Audit(asked.audit, job.seed)
    scheduler = Scheduler(
        time.monotonic, heartbeat=asked.heartbeat, task_limit=asked.task_limit, audit=audit
    )
    pool = WorkerPool(
        scheduler,
        BlobStore(),
        should_stop=should_stop,
        max_lonely=asked.max_lonely,
        audit=audit,
    )
    with pool, contextlib.ExitStack() as stack:
        with bad_input():
            service = Service(pool, run_description(job), kinds_for(job), audit)
            if asked.metrics_port is not None:
                # Only who asks for it waits for its library.
                from stillhouse.launch.engines.metrics_page import metrics_served

                where = asked.metrics_address, asked.metrics_port
                stack.enter_context(metrics_served(service, *where))
                logging.info("metrics for Prometheus at http://%s:%d/metrics", *where)
        yield pool, service


def run_by_pool(
    job: AnyJob,
    pool: WorkerPool,
    service: Service,
    signals: StopSignals,
    batches: Callable[[TargetBatches], TargetBatches] | None = None,
) -> int:
    """Run a job to its end by the workers of a pool, and return the exit code.

    Args:
        job: what to run.
        pool: of the workers.
        service: by which they reach it.
        signals: entered; asked whether to stop.
        batches: gives whoever hands out the target batches; None for who makes them here, the next
            one while workers compute.

    Raises:
        CommandError: if its folder is in use, or the run was stopped.
    """
    with contextlib.ExitStack() as stack:
        return run_any(
            dataclasses.replace(job, runner=pool),
            signals=signals,
            kinds=service.kinds,
            audit=service.audit,
            on_progress=service.report,
            batches=batches or stack.enter_context(batches_ahead()),
        )


def run_served(
    job: AnyJob,
    listening: Callable[[Service], contextlib.AbstractContextManager[None]],
    signals: StopSignals,
    *,
    may_come_back: bool = True,
    batches: Callable[[TargetBatches], TargetBatches] | None = None,
) -> int:
    """Run a job to its end by the workers that call, and return the exit code.

    Those who are there when the run ends are told to end too.

    Args:
        job: what to run.
        listening: lets workers call the service while entered, and says in the log how.
        signals: entered; asked whether to stop, also while there is no worker.
        may_come_back: whether workers wait for the server, as long as each was told to, where the
            run was stopped by a signal.
        batches: as for `run_by_pool`.

    Raises:
        CommandError: if nothing can listen there, the folder is in use, or the run was
            stopped.
    """
    # Who comes and goes is what one wants to see here.
    standard_logging.getLogger("stillhouse.server").setLevel(standard_logging.INFO)
    with contextlib.ExitStack() as stack:
        pool, service = stack.enter_context(opened_service(job, signals.asked))
        with bad_input():
            stack.enter_context(listening(service))
        try:
            return run_by_pool(job, pool, service, signals, batches)
        finally:
            if not (may_come_back and signals.asked()):
                pool.close()
                _say_farewell(service)


def leave_gpus_to_workers() -> None:
    """Let JAX here, which computes next to nothing, not take a GPU's memory from its worker."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def _say_farewell(service: Service) -> None:
    """Keep answering until all workers have gone, or for a few seconds."""
    until = time.monotonic() + _FAREWELL_SECONDS
    while time.monotonic() < until:
        if not any(worker["state"] in ("idle", "busy") for worker in service.status()["workers"]):
            return
        time.sleep(0.05)
