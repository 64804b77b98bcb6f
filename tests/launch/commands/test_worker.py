"""`stillhouse worker`, in a process of its own, and the real server in this one."""

import contextlib
import signal
import sys
import threading
import time

import numpy as np
import pytest

import stillhouse
from stillhouse.kernels.architecture import conv
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.algorithm import Interrupted
from stillhouse.methods.computing_kind import in_brief
from stillhouse.methods.device_kind import device_kind
from stillhouse.methods.programs import Context, KernelBlock
from stillhouse.methods.tasks import Task
from stillhouse.server.blobs import BlobStore
from stillhouse.server.device_kinds import DeviceKinds
from stillhouse.server.pool import WorkerPool
from stillhouse.server.scheduler import Scheduler
from stillhouse.server.service import Service
from stillhouse.workers.local import LocalRunner

PATIENCE = 120
TOKEN = "the-token-of-these-tests"
_SPEC = KernelSpec(conv(1))


@pytest.fixture(autouse=True)
def token(monkeypatch):
    monkeypatch.setenv("STILLHOUSE_TOKEN", TOKEN)


@pytest.fixture
def kinds():
    return DeviceKinds()


@pytest.fixture
def served(port, kinds):
    """A pool and its service at the port."""
    from stillhouse.launch.engines.grpc_server import serve_grpc

    ends = time.monotonic() + PATIENCE
    scheduler = Scheduler(time.monotonic, heartbeat=1.0)
    config = {
        "version": stillhouse.__version__,
        "config_hash": "f00",
        "backend": "xla",
        "summary": "a run of two steps",
    }
    with WorkerPool(scheduler, BlobStore(), should_stop=lambda: time.monotonic() > ends) as pool:
        with serve_grpc(Service(pool, config, kinds), f"localhost:{port}", token=TOKEN):
            yield pool, config


@pytest.fixture
def start(processes, port):
    """Start a worker."""

    def run(*flags, **how):
        address = f"--server=localhost:{port}"
        return processes.start("worker", address, "--threads=1", *flags, **how)

    return run


def task(images, side, seed=0):
    shape = (images, side, side, 1)
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return Task(KernelBlock(_SPEC), (x, x))


def wait_for(pool, state):
    """Wait until there is a worker in this state, and return what is known of it."""
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        for worker in pool.workers():
            if worker["state"] == state:
                return worker
        time.sleep(0.01)
    raise AssertionError(f"no worker is {state}: {pool.workers()}")


def test_it_computes_until_the_run_ends(served, start):
    pool, _ = served
    process = start()
    tasks = [task(8, 6, seed) for seed in range(4)]
    expected = LocalRunner(Context("xla", 1)).results(tasks)
    for found, wanted in zip(pool.results(tasks), expected, strict=True):
        np.testing.assert_array_equal(found[0], wanted[0])
    pool.close()
    assert process.wait() == 0
    lines = [line.partition("] ")[2] for line in process.said.splitlines() if "] " in line]
    first, last = [line for line in lines if "worker" in line or "tasks" in line]
    assert "of a run of two steps, by xla" in first
    assert last.startswith("the run has ended; 4 tasks done, 256 kernel elements, ")
    assert last.endswith("/s")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_idle_it_leaves_when_told_to(served, start, number, code):
    pool, _ = served
    process = start()
    wait_for(pool, "idle")
    process.send(number)
    assert process.wait() == code
    assert "stopped; 0 tasks done" in process.said.splitlines()[-1]
    assert not pool.live


@pytest.fixture
def lent(served):
    """Have a task computed that takes half a minute or more, by whoever comes."""
    pool, _ = served

    def run():
        with contextlib.suppress(Interrupted):
            list(pool.results([task(4000, 24)]))

    thread = threading.Thread(target=run)
    thread.start()
    yield pool
    pool.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()


# An ordinary end of the process would be SIGABRT, by XLA.
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_busy_it_gives_back_what_takes_long(lent, start, number, code):
    process = start()
    wait_for(lent, "busy")
    time.sleep(1)
    begun = time.monotonic()
    process.send(number)
    assert process.wait() == code
    assert time.monotonic() - begun < 20
    assert "stopping after this task" in process.said
    assert "stopped; 0 tasks done" in process.said.splitlines()[-1]
    assert lent.counts()["queued"] == 1
    assert not lent.live


def test_told_twice_it_ends_at_once(lent, start):
    process = start()
    wait_for(lent, "busy")
    time.sleep(1)
    process.send(signal.SIGINT)
    ends = time.monotonic() + PATIENCE
    while "stopping after this task" not in process.said:
        assert time.monotonic() < ends
        time.sleep(0.01)
    begun = time.monotonic()
    process.send(signal.SIGINT)
    assert process.wait() == 130
    assert time.monotonic() - begun < 4
    assert process.said.splitlines()[-1] == "stillhouse worker: error: interrupted"


def test_killed_its_task_goes_to_another(lent, start):
    first = start()
    wait_for(lent, "busy")
    first.send(signal.SIGKILL)
    wait_for(lent, "lost")
    start()
    wait_for(lent, "busy")
    assert lent.counts()["retries"] == 1


def test_it_beats_while_it_computes(lent, start):
    start()
    wait_for(lent, "busy")
    time.sleep(3)  # Three heartbeats; it is lost after two.
    assert wait_for(lent, "busy")["attempts"] == 1
    assert lent.live == 1


def test_where_there_is_no_server_it_gives_up(start, port):
    process = start("--max_idle=0.5")
    assert process.wait() == 1
    last = process.said.splitlines()[-1]
    assert last.startswith(
        f"stillhouse worker: error: no answer from the server at localhost:{port} "
    )
    assert " for 0.5 s; 0 tasks done" in last
    assert "Traceback" not in process.said


def test_another_kind_of_device_is_refused_in_one_line(served, kinds, start):
    pool, _ = served
    kinds.let_in("xla on cpu: another model")
    process = start()
    assert process.wait() == 2
    last = process.said.splitlines()[-1]
    assert last.startswith("stillhouse worker: error: the run computes on cpu: another model, this")
    assert device_kind("cpu") in last and "--any_device" in last
    assert pool.workers() == []


def test_by_another_backend_it_is_refused_unless_any_device_may_compute(served, kinds, start):
    pool, _ = served
    process = start("--backend=fused")
    assert process.wait() == 2
    assert "the run computes by xla, this worker by fused" in process.said.splitlines()[-1]
    kinds.any_device = True
    start(), start("--backend=fused")
    tasks = [task(8, 6, seed) for seed in range(40)]
    ends = time.monotonic() + PATIENCE
    while len(kinds.computed) < 2 and time.monotonic() < ends:
        found = [results[0] for results in pool.results(tasks)]
    here = device_kind("cpu")
    found_kinds = sorted(map(in_brief, kinds.computed))
    assert found_kinds == [f"fused on {here}", f"xla on {here}"]
    expected = LocalRunner(Context("xla", 1)).results(tasks)
    for one, (wanted,) in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-4)


def test_another_version_is_refused(served, start):
    pool, _ = served
    process = start(first="import stillhouse; stillhouse.__version__ = '7.0'", anew=True)
    assert process.wait() == 2
    assert process.said.splitlines()[-1].startswith("stillhouse worker: error: the run's release")
    assert "7.0" in process.said
    assert pool.workers() == []


@pytest.mark.parametrize("command", ["worker", "status"])
def test_without_the_token_it_is_refused_in_one_line(served, refused, port, monkeypatch, command):
    monkeypatch.setenv("STILLHOUSE_TOKEN", "another-token-than-theirs")
    line = refused(command, f"--server=localhost:{port}")
    assert "has another token than the variable STILLHOUSE_TOKEN" in line
    monkeypatch.delenv("STILLHOUSE_TOKEN")
    assert "wants a token: give --token_file=FILE" in refused(command, f"--server=localhost:{port}")
    line = refused(command, f"--server=localhost:{port}", "--token_file=none")
    assert "wants a token, and there is none in none" in line


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--server=node1", "`--server` must be host:port, such as node1:18400, got 'node1'"),
        ("--server=node1:x", "`--server` must be host:port"),
        ("--server=:18400", "`--server` must be host:port"),
        ("--device=tpu", "`--device` must be cpu, or gpu: and a number"),
        ("--threads=0", "`--threads` must be"),
        ("--max_idle=-1", "`--max_idle` must be a positive number"),
    ],
)
def test_wrong_flags_are_named(refused, flag, message):
    assert message in refused("worker", flag)


def test_without_courier_it_says_what_to_do(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "courier", None)
    line = refused("worker", "--server=node1:18400", "--transport=courier")
    assert "Courier, which is missing here" in line


def test_without_grpc_it_says_what_to_do(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    assert "gRPC, which is missing here" in refused("worker", "--server=node1:18400")
