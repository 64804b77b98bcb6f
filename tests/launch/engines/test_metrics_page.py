"""What Prometheus is told of a run."""

import contextlib
import socket
import threading
import time
import urllib.request

import numpy as np
import pytest

import stillhouse
from stillhouse.data.wire import pack
from stillhouse.kernels import KernelSpec, fc
from stillhouse.methods.algorithm import Interrupted
from stillhouse.methods.programs import KernelGram
from stillhouse.methods.tasks import PROTOCOL, Task
from stillhouse.server.blobs import BlobStore
from stillhouse.server.pool import WorkerPool
from stillhouse.server.schedule import Progress
from stillhouse.server.scheduler import Scheduler
from stillhouse.server.service import Service

pytest.importorskip("prometheus_client", reason="pip install prometheus-client")
from prometheus_client.parser import text_string_to_metric_families  # noqa: E402

from stillhouse.launch.engines.metrics_page import metrics_served  # noqa: E402

CONFIG = {"version": stillhouse.__version__, "config_hash": "", "backend": "xla", "summary": "s"}
INFO = {
    **{"version": stillhouse.__version__, "protocol": PROTOCOL, "host": "node1", "pid": 7},
    **{"device": "gpu:0", "device_kind": "NVIDIA A", "processor": "Intel P"},
}
_SHOWN = ("state", "outcome", "way", "host")


@pytest.fixture
def clock():
    return [100.0]


@pytest.fixture
def service(clock):
    """A service whose one task a worker has done in two seconds, and whose second step took 7 s."""
    image = np.ones((3, 4, 4, 1), np.float32)
    task = Task(KernelGram(KernelSpec(fc(1))), (image,))
    with WorkerPool(Scheduler(lambda: clock[0]), BlobStore()) as pool:
        service = Service(pool, CONFIG, clock=lambda: clock[0])
        running = threading.Thread(target=lambda: list(pool.results([task])), daemon=True)
        running.start()
        worker = service.register(INFO)["worker"]
        tasks = []
        while not tasks:
            time.sleep(0.01)
            tasks = service.lease(worker, 1)["tasks"]
        clock[0] += 2.0
        service.complete(worker, tasks[0]["id"], [pack(np.ones((3, 3), np.float32))], 2.0, 0)
        running.join(30)
        service.report(Progress(1, 5, {"loss": 0.5}))
        clock[0] += 7.0
        service.report(Progress(2, 5, {"loss": 0.25}))
        yield service


def page(port):
    """Every number on the page, by its name and what tells it from others."""
    with urllib.request.urlopen(f"http://localhost:{port}/metrics", timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    samples = [sample for family in families for sample in family.samples]
    return {(s.name, *(v for k, v in s.labels.items() if k in _SHOWN)): s.value for s in samples}


def test_the_page_says_how_the_run_is_doing(service, port):
    with metrics_served(service, "localhost", port):
        found = page(port)
    expected = {
        ("stillhouse_step",): 2,
        ("stillhouse_steps",): 5,
        ("stillhouse_step_seconds",): 7,
        ("stillhouse_loss",): 0.25,
        ("stillhouse_tasks", "queued"): 0,
        ("stillhouse_tasks", "leased"): 0,
        ("stillhouse_tasks_done_total",): 1,
        ("stillhouse_attempts_total",): 1,
        ("stillhouse_retries_total",): 0,
        ("stillhouse_leases_lost_total",): 0,
        ("stillhouse_audits_total", "compared"): 0,
        ("stillhouse_work_total",): 6,
        ("stillhouse_workers", "idle"): 1,
        ("stillhouse_worker_work_total", "node1"): 6,
        ("stillhouse_worker_speed", "node1"): 3,
    }
    assert {name: found.get(name) for name in expected} == expected
    # A header and the values of three images went down, and of nine elements came up.
    assert 3 * 16 * 4 < found["stillhouse_bytes_total", "down"] < 3 * 16 * 4 + 100
    assert 9 * 4 < found["stillhouse_bytes_total", "up"] < 9 * 4 + 100


def test_a_worker_that_is_lost_with_a_task_is_counted(clock, port):
    task = Task(KernelGram(KernelSpec(fc(1))), (np.ones((3, 4, 4, 1), np.float32),))
    with WorkerPool(Scheduler(lambda: clock[0]), BlobStore()) as pool:
        service = Service(pool, CONFIG, clock=lambda: clock[0])

        def wait():
            with contextlib.suppress(Interrupted):
                list(pool.results([task]))

        running = threading.Thread(target=wait, daemon=True)
        running.start()
        worker = service.register(INFO)["worker"]
        while not service.lease(worker, 1)["tasks"]:
            time.sleep(0.01)
        pool.lose(worker, "it was killed")
        with metrics_served(service, "localhost", port):
            found = page(port)
        pool.close()
        running.join(30)
    assert found["stillhouse_leases_lost_total",] == found["stillhouse_workers", "lost"] == 1
    assert found["stillhouse_retries_total",] == found["stillhouse_tasks", "queued"] == 1


def test_a_port_that_cannot_be_had_is_named(service, port):
    with socket.socket() as listener:
        listener.bind(("localhost", port))
        listener.listen()
        with pytest.raises(ValueError, match=f"`--metrics_port`: .* localhost:{port}"):
            with metrics_served(service, "localhost", port):
                pass
    with pytest.raises(ValueError, match="`--metrics_port`: nothing can listen at no.such.host"):
        with metrics_served(service, "no.such.host", port):
            pass


def test_serve_refuses_it_in_one_line(refused, spots, port):
    pytest.importorskip("grpc", reason="workers and their server talk by gRPC")
    flags = (f"--address=localhost:{port}", f"--dataset={spots}", "--architecture=fc", "--out=run")
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        line = refused("serve", *flags, f"--metrics_port={taken}")
    assert f"nothing can listen at localhost:{taken}" in line
    line = refused("distill", f"--dataset={spots}", f"--metrics_port={taken}")
    assert "no meaning with --engine=local" in line
