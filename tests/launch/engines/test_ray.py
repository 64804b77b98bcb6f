"""A real Ray on this machine: the same bits, and nothing left behind."""

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from stillhouse.data.wire import digest, pack
from stillhouse.launch.engines.ray_blobs import SharedBlobs
from stillhouse.server.checkpoints import CheckpointStore

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None,
    reason="needs Ray, which does not fit beside Launchpad: pip install 'stillhouse[ray]'",
)
FC = ("--architecture=fc", "--depth=1", "--checkpoint_every=4", "--eval_every=5")
RAY = ("--engine=ray", "--workers=2", "--threads=1", "--heartbeat=1")


@pytest.fixture
def problem(spots):
    return (f"--dataset={spots}", *FC, "--steps=12")


@pytest.fixture(scope="module")
def long(spots):
    """A run that takes long enough for accidents."""
    return (f"--dataset={spots}", *FC, "--steps=150", "--target_batch=180")


def actors(processes):
    """The processes that are workers, computing or not."""
    found = []
    for pid in processes.alive():
        try:
            title = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::RayWorker"):
            found.append(pid)
    return found


@pytest.fixture(scope="module")
def killed(lasting_processes, long, wait_for_step):
    """The processes of a run that is killed: some take a minute to end."""
    run = lasting_processes.start("distill", *long, *RAY, "--out=run")
    wait_for_step(run, run.output.parent / "run", 20)
    run.send(signal.SIGKILL)
    return lasting_processes


@needs_ray
def test_killed_its_workers_end(killed, eventually):
    eventually(lambda: not actors(killed), "all workers ended", 20)


@needs_ray
def test_the_same_bits(processes, problem, locally, bits, tmp_path, eventually):
    run = processes.start("distill", *problem, *RAY, "--out=run")
    assert run.wait() == 0, run.said
    assert "test accuracy" in run.said
    assert "Traceback" not in run.said and "Warning" not in run.said
    assert bits(tmp_path / "run") == locally(problem)
    eventually(lambda: not processes.alive(), "all processes ended", 20)


@needs_ray
def test_a_worker_killed_again_and_again(
    processes, long, locally, bits, tmp_path, eventually, wait_for_step
):
    run = processes.start("distill", *long, *RAY, "--out=run")
    for step in (20, 60, 100):
        wait_for_step(run, tmp_path / "run", step)
        victim = eventually(lambda: actors(processes), "there are workers", command=run)[0]
        os.kill(victim, signal.SIGKILL)
    assert run.wait() == 0, run.said
    assert run.said.count("has ended, another one is started") == 3
    assert bits(tmp_path / "run") == locally(long)


@needs_ray
def test_a_worker_stopped_for_longer_than_it_is_waited_for(
    processes, long, locally, bits, tmp_path, eventually, wait_for_step
):
    run = processes.start("distill", *long, *RAY, "--out=run")
    wait_for_step(run, tmp_path / "run", 20)
    victim = eventually(lambda: actors(processes), "there are workers", command=run)[0]
    os.kill(victim, signal.SIGSTOP)
    eventually(lambda: "lost" in run.said, "it is lost", 30, command=run)
    os.kill(victim, signal.SIGCONT)
    assert run.wait() == 0, run.said
    assert bits(tmp_path / "run") == locally(long)


@needs_ray
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_by_a_signal_it_goes_on(
    processes, long, locally, bits, tmp_path, eventually, wait_for_step, number, code
):
    run = processes.start("distill", *long, *RAY, "--out=run")
    wait_for_step(run, tmp_path / "run", 20)
    run.send(number)
    assert run.wait(30) == code
    assert "the same command goes on from there" in run.said and "Traceback" not in run.said
    eventually(lambda: not processes.alive(), "all processes ended", 20)
    again = processes.start("distill", *long, *RAY, "--out=run")
    assert again.wait() == 0, again.said
    assert bits(tmp_path / "run") == locally(long)


def clusters():
    """The processes that are the heads of Ray clusters here."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().split(b"\0")[0].endswith(b"gcs_server"):
                found.append(int(path.parent.name))
    return found


@needs_ray
@pytest.mark.parametrize("address", ["localhost:1", "localhost:x", "auto"])
def test_no_cluster_is_one_line(processes, problem, address, eventually):
    # By itself it would find one of another test, which is still ending.
    eventually(lambda: not clusters(), "alone on this machine", 120)
    run = processes.start("distill", *problem, *RAY, f"--ray_address={address}", "--out=run")
    assert run.wait() == 2, run.said
    assert f"no Ray cluster at --ray_address={address}: " in run.said
    assert run.said.count("error:") == 1 and "Traceback" not in run.said


# The second actor is one whose Numba uses the least vectors.
OF_TWO_KINDS = """
import itertools
from stillhouse.launch.engines import ray as engine
right_import, count = engine._import_ray, itertools.count()
def import_ray(**asked):
    ray = right_import(**asked)
    right = ray.remote
    def remote(**options):
        if next(count) == 1:
            options["runtime_env"] = {"env_vars": {"NUMBA_CPU_NAME": "generic"}}
        return right(**options)
    ray.remote = remote
    return ray
engine._import_ray = import_ray
"""


@needs_ray
def test_of_two_kinds_of_computer_one_is_refused_and_the_other_goes_on(
    processes, problem, tmp_path, eventually, wait_for_step, steps_of
):
    flags = (*problem, *RAY, "--steps=1000000", "--out=run")
    run = processes.start("distill", *flags, first=OF_TWO_KINDS)
    refused = r".* is refused, the others go on without it: (.*)"
    line = eventually(lambda: re.search(refused, run.said), "one is refused", command=run)[1]
    assert "with Numba for generic" in line and "NUMBA_CPU_NAME" in line
    wait_for_step(run, tmp_path / "run", steps_of(tmp_path / "run") + 5)
    run.send(signal.SIGTERM)
    assert run.wait() == 143, run.said
    kinds = CheckpointStore(tmp_path / "run" / "checkpoints").latest_meta()["computed_by"]
    assert len(kinds) == 1 and "Traceback" not in run.said


@pytest.fixture
def cluster(monkeypatch, port, eventually):
    """A Ray cluster of somebody else's, with a token; the address at which it is."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # Not the test's folder, whose name is too long for a socket.
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
            *("--node-ip-address=127.0.0.1", f"--port={port}", "--num-cpus=2"),
            *("--include-dashboard=false", f"--temp-dir={folder}"),
        ]
        output = Path(folder) / "said"
        with open(output, "wb") as said:
            ray = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            eventually(
                lambda: "Ray runtime started" in (Path(folder) / "said").read_text(), "up", 60
            )
            yield f"127.0.0.1:{port}"
            assert ray.poll() is None, "nobody else has ended it"
        finally:
            ray.terminate()
            ray.wait(60)


@needs_ray
def test_on_a_cluster_that_is_there(processes, problem, locally, bits, tmp_path, cluster):
    run = processes.start("distill", *problem, *RAY, f"--ray_address={cluster}", "--out=run")
    assert run.wait() == 0, run.said
    assert "Traceback" not in run.said
    assert bits(tmp_path / "run") == locally(problem)


@needs_ray
def test_killed_it_leaves_no_process(killed, eventually):
    # Agents of Ray itself try to tell of it for a minute, which is why this test comes late.
    eventually(lambda: not killed.alive(), "all processes ended", 120)


def test_without_ray_it_says_what_to_install(problem, tmp_path):
    # As where it is not installed, whether it is or not.
    entry = "import sys; sys.modules['ray'] = None; from stillhouse.launch.main import main; "
    done = subprocess.run(
        [sys.executable, "-c", entry + "sys.exit(main())", "distill", *problem, *RAY],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=100,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("stillhouse distill: error: `--engine=ray` needs Ray")
    assert "pip install 'stillhouse[ray]'" in done.stderr and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


class Store:
    """Something that puts arrays, and knows which."""

    def __init__(self):
        self.arrays = [np.full((4, 2, 2, 1), value, np.float32) for value in range(4)]
        self.blobs = {digest(pack(array)): pack(array) for array in self.arrays}
        self.names = list(self.blobs)
        self.asked = []

    def fetch(self, names):
        self.asked += names
        return {name: self.blobs[name] for name in names if name in self.blobs}


def test_a_blob_is_put_once():
    store, put = Store(), []
    shared = SharedBlobs(lambda array: put.append(array) or len(put) - 1)
    assert shared.refs(store.names[:2], store.fetch) == [0, 1]
    assert shared.refs(store.names[1:3], store.fetch) == [1, 2]
    assert store.asked == store.names[:3]
    assert [array[0, 0, 0, 0] for array in put] == [0, 1, 2]


def test_a_blob_that_nobody_needs_any_more_is_none():
    shared = SharedBlobs(lambda array: array)
    assert shared.refs(["0" * 64], Store().fetch) is None


def test_blobs_are_forgotten_in_the_order_of_their_last_use():
    store, put = Store(), []
    size = store.arrays[0].nbytes
    shared = SharedBlobs(lambda array: put.append(array) or len(put) - 1, capacity=2 * size)
    for name in (0, 1, 0, 2, 0):
        shared.refs([store.names[name]], store.fetch)
    assert len(put) == 3
    shared.refs([store.names[1]], store.fetch)
    assert len(put) == 4
    # More at a time than are kept: they are all there, this once.
    assert len(shared.refs(store.names, store.fetch)) == 4
