"""How a run is doing, as text for Prometheus."""

import contextlib
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from stillhouse.server.service import Service

_VALUES = ("loss", "accuracy", "test_accuracy")
_OF_WORKER = ("worker", "host", "device", "unit")


@contextlib.contextmanager
def metrics_served(service: Service, address: str, port: int) -> Iterator[None]:
    """Answer Prometheus at a port while entered.

    Args:
        service: says how the run is doing.
        address: the interface to listen at, by its host name or number.
        port: where.

    Raises:
        ValueError: if nothing can listen there.
    """
    registry = CollectorRegistry()
    registry.register(RunCollector(service))
    ProcessCollector(registry=registry)
    try:
        server, thread = start_http_server(port, address, registry)
    except OSError as error:
        raise ValueError(
            f"`--metrics_port`: nothing can listen at {address}:{port} "
            f"({error.strerror or error}); give another port, or --metrics_address"
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class RunCollector(Collector):
    """Asks a service for its status whenever Prometheus asks.

    Args:
        service: whose.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def describe(self) -> list[Metric]:
        """Return nothing: what there is to collect is known when it is."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield what there is to say of the run, its tasks and its workers."""
        status = self._service.status()
        yield from _of_run(status)
        yield from _of_tasks(status["tasks"], status["audit"])
        yield from _of_workers(status["workers"])


def _of_run(status: dict[str, Any]) -> Iterator[Metric]:
    yield GaugeMetricFamily("stillhouse_step", "Steps taken.", value=status["step"])
    yield GaugeMetricFamily("stillhouse_steps", "Steps of the run.", value=status["steps"])
    took = GaugeMetricFamily("stillhouse_step_seconds", "How long the last step took.")
    if status["step_seconds"] is not None:
        took.add_metric([], status["step_seconds"])
    yield took
    for name in _VALUES:
        family = GaugeMetricFamily(f"stillhouse_{name}", f"The last {name.replace('_', ' ')}.")
        if status[name] is not None:
            family.add_metric([], status[name])
        yield family
    moved = CounterMetricFamily(
        "stillhouse_bytes", "Bytes of arrays, down to workers and up from them.", labels=["way"]
    )
    for way, count in status["traffic"].items():
        moved.add_metric([way], count)
    yield moved
    work = CounterMetricFamily(
        "stillhouse_work", "Work units whose results came, by what they are.", labels=["unit"]
    )
    for unit, count in status["work"].items():
        work.add_metric([unit], count)
    yield work


def _of_tasks(tasks: dict[str, int], audit: dict[str, Any]) -> Iterator[Metric]:
    now = GaugeMetricFamily("stillhouse_tasks", "Tasks in the server now.", labels=["state"])
    for state in ("queued", "leased"):
        now.add_metric([state], tasks[state])
    yield now
    for name, key, help in (
        ("tasks_done", "done", "Tasks whose result is there."),
        ("attempts", "attempts", "Leases of tasks."),
        ("retries", "retries", "Tasks that were queued again."),
        ("leases_lost", "lost", "Leases that ended with no word from the worker."),
    ):
        yield CounterMetricFamily(f"stillhouse_{name}", help, value=tasks[key])
    audits = CounterMetricFamily(
        "stillhouse_audits", "Tasks chosen to be computed twice.", labels=["outcome"]
    )
    for outcome in ("compared", "missed"):
        audits.add_metric([outcome], audit.get(outcome, 0))
    yield audits
    yield CounterMetricFamily(
        "stillhouse_workers_found_out",
        "Workers set aside over wrong bits.",
        value=len(audit.get("set_aside", ())),
    )


def _of_workers(workers: list[dict[str, Any]]) -> Iterator[Metric]:
    states = dict.fromkeys(("busy", "idle", "quarantined", "lost"), 0)
    speed = GaugeMetricFamily(
        "stillhouse_worker_speed",
        "Work units that a worker does in a second of computing.",
        labels=_OF_WORKER,
    )
    work = CounterMetricFamily(
        "stillhouse_worker_work", "Work units that a worker has done.", labels=_OF_WORKER
    )
    for worker in workers:
        states[worker["state"]] += 1
        who = [worker[name] for name in ("id", "host", "device")]
        for unit, value in worker["speeds"].items():
            speed.add_metric([*who, unit], value)
        for unit, value in worker["work"].items():
            work.add_metric([*who, unit], value)
    count = GaugeMetricFamily("stillhouse_workers", "Workers by state.", labels=["state"])
    for state, number in states.items():
        count.add_metric([state], number)
    yield from (count, speed, work)
