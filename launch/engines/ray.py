"""The engine whose workers are actors on a Ray cluster, or on one of its own on this machine."""

import contextlib
import importlib
import os
import secrets
import socket
import warnings
from collections.abc import Iterator
from typing import Any

from absl import logging

from stillhouse.kernels.threads import default_threads
from stillhouse.launch.engines.addresses import parse_address
from stillhouse.launch.engines.ray_crew import RayCrew
from stillhouse.launch.engines.serving import opened_service, run_by_pool
from stillhouse.launch.errors import BAD_INPUT, CommandError, one_line
from stillhouse.launch.jobs import AnyConfig, AnyJob
from stillhouse.launch.signals import StopSignals
from stillhouse.server.pool import WorkerPool
from stillhouse.server.service import Service

# Of the object store on this machine: the blobs of a step, and the results on their way.
_STORE_BYTES = 2**30
_CONNECT_SECONDS = 10.0


class RayEngine:
    """An `Engine` whose tasks are computed by Ray actors, and which keeps the run in this process.

    Args:
        config: the settings.

    Raises:
        ValueError: if Ray is not installed.
    """

    def __init__(self, config: AnyConfig) -> None:
        self._ray = _import_ray(alone=config.engine.ray_address is None)
        self._engine, self._compute = config.engine, config.compute

    def run(self, job: AnyJob) -> int:
        """Run a job to its end, or from where it was, and return the exit code.

        Raises:
            CommandError: if there is no such cluster, the folder is in use, or the run was stopped.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._cluster())
            # Only now: Ray has signal handlers of its own.
            return self._run(job, stack.enter_context(StopSignals()))

    def _run(self, job: AnyJob, signals: StopSignals) -> int:

        def should_stop() -> bool:
            crew.check()
            return signals.asked()

        with opened_service(job, should_stop) as (pool, service):
            with self._crew(job, service, pool) as crew:
                crew.start(job)
                return run_by_pool(job, pool, service, signals)

    def _crew(self, job: AnyJob, service: Service, pool: WorkerPool) -> RayCrew:
        gpus = self._ray.cluster_resources().get("GPU", 0)
        # What computes on processors alone leaves the GPUs to others.
        device = "gpu:0" if gpus and job.backend != "fused" else "cpu"
        workers, threads = self._engine.workers, self._threads
        return RayCrew(self._ray, service, pool, workers=workers, device=device, threads=threads)

    @property
    def _threads(self) -> int:
        if self._compute.threads is not None:
            return self._compute.threads
        if self._engine.ray_address is not None:
            return 1  # A worker asks its cluster for as many processors.
        return max(default_threads() // self._engine.workers, 1)

    @contextlib.contextmanager
    def _cluster(self) -> Iterator[None]:
        """Be connected to the cluster, or to one of our own that ends afterwards."""
        address = self._engine.ray_address
        try:
            try:
                self._connect(address)
            except (ValueError, OSError, RuntimeError) as error:
                where = "on this machine" if address is None else f"at --ray_address={address}"
                message = f"no Ray cluster {where}: {one_line(error)}"
                raise CommandError(message, BAD_INPUT) from error
            yield
        finally:
            self._ray.shutdown()

    def _connect(self, address: str | None) -> None:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "WARNING"}
        if address is not None:
            _check_listens(address)
            self._ray.init(address=address, **quiet)
            return
        logging.info("starting Ray on this machine")
        with warnings.catch_warnings():
            # JAX warns of every fork; these only start other programs.
            warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
            self._ray.init(
                address="local",  # and not whatever cluster is found
                num_cpus=self._engine.workers * self._threads,
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                _node_ip_address="127.0.0.1",
                **quiet,
            )


def _check_listens(address: str) -> None:
    """Check that somebody does, at an address of host and port; Ray itself would try for minutes.

    Raises:
        ValueError: if the address is none.
        OSError: if nobody does.
    """
    if "://" in address or ":" not in address:  # Such as auto.
        return
    socket.create_connection(parse_address(address, "ray_address"), _CONNECT_SECONDS).close()


def _import_ray(*, alone: bool) -> Any:
    """Return Ray.

    Args:
        alone: for a cluster of our own.

    Raises:
        ValueError: if it is not installed.
    """
    # All of this is read once, by the import. Nobody is told anything of this machine.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if alone:
        # Ray listens on all interfaces, whatever it is told: let nobody in but this run's own.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ValueError(
            f"`--engine=ray` needs Ray, which cannot be imported ({one_line(error)}): in an "
            "environment without Launchpad, pip install 'stillhouse[ray]'"
        ) from error
