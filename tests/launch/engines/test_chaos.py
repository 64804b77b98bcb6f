"""Processes killed, stopped and late, with a fixed seed: the same bits."""

import json
import os
import random
import re
import signal
import time
from pathlib import Path

import pytest

HEARTBEAT = 0.5
SEED = 20


@pytest.fixture
def problem(spots):
    return (f"--dataset={spots}", "--architecture=fc", "--depth=1", "--steps=200",
            "--checkpoint_every=20", "--eval_every=0")  # fmt: skip


@pytest.fixture
def serve(processes, problem, listens):
    return lambda: processes.start(
        "serve", *listens, *problem, f"--heartbeat={HEARTBEAT}", "--out=run"
    )


@pytest.fixture
def worker(processes, calls):
    # A server that is started again may need its time where others compute too.
    return lambda: processes.start("worker", *calls, "--threads=1", "--max_idle=150")


@pytest.fixture
def same_bits(problem, locally, bits, tmp_path):
    def check():
        assert bits(tmp_path / "run") == locally(problem)

    return check


def test_a_worker_is_killed_in_every_step(
    processes, listens, worker, eventually, steps_of, locally, bits, tmp_path
):
    # Steps of a second, so that whoever is killed is computing.
    problem = ("--dataset=digits", "--depth=2", "--ipc=5", "--target_batch=1300", "--steps=4")
    problem = (*problem, "--checkpoint_every=2", "--eval_every=0")
    expected = locally(problem)  # Also compiles what workers would be silent for meanwhile.
    server = processes.start(
        *("serve", *listens, *problem, f"--heartbeat={HEARTBEAT}", "--out=run")
    )
    workers, killed_at = [worker() for _ in range(3)], set()

    def victim():
        there = workers_that_joined(server)
        return next((w for w in workers if w.pid in there), None)

    def kill_one():
        step, found = steps_of(tmp_path / "run"), victim()
        if step not in killed_at and found is not None:
            killed_at.add(step)
            found.send(signal.SIGKILL)
            workers.remove(found)
            workers.append(worker())
        return step == 3

    eventually(kill_one, "at the last step", command=server)
    assert server.wait() == 0, server.said
    assert killed_at == set(range(4))
    assert bits(tmp_path / "run") == expected


def workers_that_joined(server):
    """The processes of all workers that a server says have joined."""
    return [int(pid) for pid in re.findall(r":(\d+)\) has joined", server.said)]


def test_a_worker_that_is_stopped_for_longer_than_its_lease_and_goes_on(
    serve, worker, wait_for_step, same_bits, tmp_path
):
    server, workers = serve(), [worker(), worker()]
    wait_for_step(server, tmp_path / "run", 10)
    workers[0].send(signal.SIGSTOP)
    time.sleep(4 * HEARTBEAT)
    workers[0].send(signal.SIGCONT)
    assert server.wait() == 0, server.said
    same_bits()
    assert [w.wait() for w in workers] == [0, 0]


@pytest.mark.parametrize(
    ("transport", "kills"), [("grpc", 10), ("courier", 2)], indirect=["transport"]
)
def test_servers_are_killed_in_a_row_and_workers_killed_and_stopped_meanwhile(
    kills, serve, worker, wait_for_step, same_bits, tmp_path
):
    rng = random.Random(SEED)
    server, workers = serve(), [worker(), worker()]
    apart = 150 // kills
    for kill in range(kills):
        wait_for_step(server, tmp_path / "run", 5 + apart * kill + rng.randrange(apart))
        server.send(signal.SIGKILL)
        assert server.wait() == -signal.SIGKILL, server.said
        if kill in (1, 8):
            workers.pop(rng.randrange(2)).send(signal.SIGKILL)
            workers.append(worker())
        if kill in (4, 5):  # Stopped while one server dies and another begins, then it goes on.
            workers[0].send(signal.SIGSTOP if kill == 4 else signal.SIGCONT)
        server = serve()
    assert server.wait() == 0, server.said
    assert "going on after step" in server.said
    same_bits()
    # At most an interval of checkpoints was computed again, each time.
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines][-1] == 200
    assert [w.wait() for w in workers] == [0, 0]


@pytest.fixture
def workers_of(stillhouse):
    """The processes of the workers that a run's server knows and that are not lost."""

    def ask(run):
        (port,) = set(re.findall(r"the server listens at port (\d+)", run.said))
        flags = (f"--server=localhost:{port}", "--transport=courier", "--json")
        answer = json.loads(stillhouse("status", *flags).out)
        return {worker["pid"] for worker in answer["workers"] if worker["state"] != "lost"}

    return ask


@pytest.fixture
def launched(processes, problem):
    pytest.importorskip("launchpad", reason="needs Launchpad, which is for Python 3.10")
    return lambda *arguments: processes.start(
        *("distill", *problem, "--engine=launchpad", f"--heartbeat={HEARTBEAT}", "--out=run"),
        *arguments,
    )


def test_a_node_of_launchpad_that_is_killed_is_started_again(
    launched, workers_of, processes, wait_for_step, eventually, same_bits, tmp_path
):
    run = launched("--workers=1")
    wait_for_step(run, tmp_path / "run", 10)
    (before,) = workers_of(run)
    os.kill(before, signal.SIGKILL)
    eventually(lambda: workers_of(run) - {before}, "started again", command=run)
    assert run.wait() == 0, run.said
    assert "worker/0 was ended by SIGKILL; started again" in run.said
    same_bits()
    assert processes.alive() == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_launchpad_saves_and_ends_all(
    launched, processes, wait_for_step, tmp_path, number, code
):
    run = launched("--workers=2")
    wait_for_step(run, tmp_path / "run", 10)
    run.send(number)
    assert run.wait(40) == code, run.said
    last = run.said.strip().splitlines()[-1]
    assert last.startswith("stillhouse distill: error: stopped after step"), run.said
    assert "Traceback" not in run.said
    assert processes.alive() == []


def test_a_server_of_launchpad_that_is_killed_ends_all_and_the_same_command_goes_on(
    launched, workers_of, processes, wait_for_step, eventually, same_bits, tmp_path
):
    run = launched("--workers=1")
    wait_for_step(run, tmp_path / "run", 25)
    (server,) = {*processes.alive()} - {run.pid, *workers_of(run)}
    os.kill(server, signal.SIGKILL)
    assert run.wait(40) == 1, run.said
    last = run.said.strip().splitlines()[-1]
    assert "the server was ended by SIGKILL; the same command goes on" in last
    assert processes.alive() == []
    run = launched("--workers=2", "--loaders=1")
    assert run.wait() == 0, run.said
    assert "going on after step" in run.said
    same_bits()


def has_open(pid, file):
    """Whether a process has a file open, or part of its memory is one of that name."""
    links = [os.path.realpath(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return any(file in link for link in links) or file in Path(f"/proc/{pid}/maps").read_text()


def test_loaders_and_their_queue_are_killed(
    launched, processes, wait_for_step, same_bits, tmp_path
):
    run = launched("--workers=1", "--loaders=1")
    wait_for_step(run, tmp_path / "run", 10)
    others = [pid for pid in processes.alive() if not has_open(pid, "metrics.jsonl")]
    killed = [pid for pid in others if pid != run.pid and has_open(pid, "/reverb/")]
    assert len(killed) == 2
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert run.wait() == 0, run.said
    for name in ("queue/0", "loader/0"):
        assert f"{name} was ended by SIGKILL; started again" in run.said
    same_bits()
    assert processes.alive() == []


def test_a_launcher_that_is_killed_leaves_no_process(
    launched, processes, wait_for_step, eventually, tmp_path
):
    run = launched("--workers=2", "--loaders=1")
    wait_for_step(run, tmp_path / "run", 5)
    assert len(processes.alive()) == 6
    run.send(signal.SIGKILL)
    run.wait(20)
    eventually(lambda: processes.alive() == [], "ended", 20)
