"""A worker that computes nonsense, a full disk, clocks that jump: in real processes."""

import re
import resource
import signal
import time

import pytest

from stillhouse.data.distilled import load
from stillhouse.server.audit import Audit

HEARTBEAT = 0.5

# Kernels whose blocks are not what was asked for; all else is the real worker.
FAULTY = """
import numpy as np
from stillhouse.workers import leased
right = leased.compute
leased.compute = lambda kernel, task: tuple({} for x in right(kernel, task))
"""

# It beats, but never comes back from the first task; the others are as ever.
HANGING = """
import time
from stillhouse.workers import leased
leased.compute = lambda context, task: time.sleep(10**6)
"""

# It fails at once, whatever it is lent.
RAISING = """
from stillhouse.workers import leased
def compute(context, task):
    raise ValueError("no luck on this host")
leased.compute = compute
"""

# One bit of the result is another where the number of the task ends so.
FLIPPING = """
import threading
import numpy as np
from stillhouse.workers import leased
right = leased.compute
def compute(context, task):
    results = tuple(np.array(x) for x in right(context, task))
    number = int(threading.current_thread().name.rpartition("-")[2])
    if number % {every} == {wrong}:
        results[0].view(np.uint32).flat[0] ^= 1
    return results
leased.compute = compute
"""

# It has a processor's least vectors alone, as a worker on an older one would.
FEWER_VECTORS = """
import os
os.environ["NUMBA_CPU_NAME"] = "generic"
"""

# It is ready, and calls the server once the file is there.
LATE = """
import os, time
import numba, stillhouse.launch.commands.worker, stillhouse.methods.bit_traits
while not os.path.exists("needed"):
    time.sleep(0.1)
"""

# The clocks of the process run on by an hour, or back, once the file is there.
LEAP = """
import os, time
from stillhouse.launch.main import main
def leaping(clock):
    return lambda: clock() + ({} if os.path.exists("leap") else 0.0)
time.monotonic, time.time = leaping(time.monotonic), leaping(time.time)
"""


@pytest.fixture
def problem(spots):
    return (f"--dataset={spots}", "--architecture=fc", "--depth=1", "--steps=200",
            "--checkpoint_every=20", "--eval_every=0")  # fmt: skip


@pytest.fixture
def serve(processes, problem, listens):
    def start(entry="", *flags):
        beat = f"--heartbeat={HEARTBEAT}"
        return processes.start("serve", *listens, *problem, beat, "--out=run", *flags, first=entry)

    return start


@pytest.fixture
def worker(processes, calls):
    def start(entry="", **how):
        return processes.start("worker", *calls, "--threads=1", first=entry, **how)

    return start


@pytest.mark.parametrize(
    ("result", "reason"),
    [("np.full_like(x, np.nan)", "NaN or infinity"), ("x[:-1]", "belongs")],
)
def test_a_worker_that_hands_in_nonsense_gets_no_more_tasks_and_does_no_harm(
    serve, worker, eventually, locally, bits, problem, tmp_path, result, reason
):
    server, faulty = serve(), worker(FAULTY.format(result))
    eventually(lambda: "has joined" in server.said, "joined", command=server)
    # A task fails for good on several workers only: until another one comes, it waits.
    sound = worker()
    assert server.wait() == 0, server.said
    assert faulty.wait(20) == 1
    assert "has no more tasks for this worker" in faulty.said
    (line,) = re.findall(r"gets no more tasks: (.*)", server.said)
    assert reason in line
    assert sound.wait(20) == 0, sound.said
    assert bits(tmp_path / "run") == locally(problem)


def test_workers_that_hang_and_one_that_raises_do_no_harm_and_are_named(
    serve, worker, eventually, locally, bits, problem, tmp_path
):
    server = serve("", "--task_limit=5")
    hanging = [worker(HANGING), worker(HANGING)]
    eventually(lambda: server.said.count("has joined") == 2, "joined", command=server)
    others = [worker(RAISING), worker()]
    assert server.wait() == 0, server.said
    assert bits(tmp_path / "run") == locally(problem)
    log = (tmp_path / "run" / "log.txt").read_text()
    for process in hanging:
        pattern = rf":{process.pid}\) gets no more tasks: it does not come back from task \S+ in"
        assert re.search(pattern, log), log
        assert re.search(rf":{process.pid}\) has computed task \S+ for", log)
        assert process.wait(20) == 1 and "it does not come back" in process.said
    # Either it failed thrice, or others had done by then what it found fault with.
    assert re.search(rf":{others[0].pid}\) could not compute task .* no luck on this host", log)
    assert others[1].wait(20) == 0, others[1].said


def test_a_worker_that_flips_bits_is_found_out_by_an_audit(
    serve, worker, locally, bits, problem, tmp_path
):
    server, flipping = serve("", "--audit=1"), worker(FLIPPING.format(every=7, wrong=0))
    sound = [worker(), worker()]
    assert server.wait() == 0, server.said
    assert bits(tmp_path / "run") == locally(problem)
    assert flipping.wait(20) == 1 and "two others agree on other bits" in flipping.said
    log = (tmp_path / "run" / "log.txt").read_text()
    (name,) = re.findall(rf"(worker \S+ \(\S+:{flipping.pid}\)) gets no more tasks", log)
    assert f"is computed again: {name} handed in wrong bits" in log
    assert f"set aside for theirs: {name}" in log
    audit = load(tmp_path / "run" / "distilled.npz").card.audit
    assert audit["set_aside"] == [name] and audit["compared"] > 200 and audit["share"] == 1.0
    assert [w.wait(20) for w in sound] == [0, 0]


def test_one_wrong_result_of_a_hundred_is_found_where_one_of_twenty_is_compared(
    serve, worker, eventually, locally, bits, problem, tmp_path
):
    # By the seed of the run; before it come others, so that both workers are there by then.
    audit = Audit(0.05, seed=0)
    wrong = [number for number in range(1, 100) if audit.chooses()][-1]
    server = serve("", "--audit=0.05")
    flipping = worker(FLIPPING.format(every=100, wrong=wrong))
    eventually(lambda: "has joined" in server.said, "joined", command=server)
    # Of two workers each computes whatever is compared; the third comes when it is needed.
    sound, third = worker(), worker(LATE)
    eventually(lambda: "a third decides" in server.said, "two differ", 400, server)
    (tmp_path / "needed").touch()
    assert server.wait() == 0, server.said
    assert bits(tmp_path / "run") == locally(problem)
    assert flipping.wait() == 1 and "two others agree on other bits" in flipping.said
    found = load(tmp_path / "run" / "distilled.npz").card.audit
    (name,) = found["set_aside"]
    assert name.endswith(f":{flipping.pid})") and found["share"] == 0.05
    assert f"is computed again: {name} handed in wrong bits" in server.said
    assert [each.wait() for each in (sound, third)] == [0, 0]


def test_a_worker_of_fewer_vector_instructions_is_refused_and_the_difference_named(
    serve, worker, eventually, tmp_path
):
    server, first = serve("", "--steps=1000000"), worker()
    eventually(lambda: "has joined" in server.said, "joined", command=server)
    fewer = worker(FEWER_VECTORS, anew=True)
    assert fewer.wait() == 2, fewer.said
    last = fewer.said.strip().splitlines()[-1]
    assert last.startswith("stillhouse worker: error: the run computes with Numba for ")
    assert "this worker with Numba for generic (no vectors beyond the least), whose" in last
    assert "NUMBA_CPU_NAME" in last and "--any_device" in last and "Traceback" not in fewer.said
    server.send(signal.SIGTERM)
    assert server.wait() == 143, server.said
    first.send(signal.SIGTERM)
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "refused: the run computes with Numba for" in log


def test_the_only_worker_is_killed_and_one_let_in_by_any_device_is_named_in_log_status_and_card(
    serve, worker, wait_for_step, stillhouse, locally, bits, problem, tmp_path
):
    server, first = serve("", "--any_device"), worker()
    wait_for_step(server, tmp_path / "run", 1)
    first.send(signal.SIGKILL)
    fewer = worker(FEWER_VECTORS, anew=True)
    assert server.wait() == 0, server.said
    assert fewer.wait() == 0, fewer.said
    of_each = load(tmp_path / "run" / "distilled.npz").card.computed_by
    assert [" Numba for generic" in kind for kind in of_each] == [False, True]
    words = "with Numba for generic (no vectors beyond the least); its bits can not be repeated"
    assert words in stillhouse("status", tmp_path / "run").out
    log = (tmp_path / "run" / "log.txt").read_text()
    assert words in log and "too, beside fused on cpu: " in log
    # Of networks without convolutions Numba compiles nothing: these bits are the same all the same.
    found, expected = bits(tmp_path / "run"), locally(problem)
    assert found[:2] == expected[:2]
    assert found[2]["computed_by"] == list(of_each) == [*expected[2]["computed_by"], of_each[1]]


def test_where_no_worker_comes_the_server_ends_with_a_code_of_its_own(serve, tmp_path):
    server = serve("", "--max_lonely=0.5")
    assert server.wait() == 75, server.said
    last = server.said.strip().splitlines()[-1]
    assert "no worker was there" in last and "the same command goes on from there" in last
    assert "no worker was there" in (tmp_path / "run" / "log.txt").read_text()


def test_where_the_disk_is_full_a_run_goes_on_from_the_last_checkpoint(
    processes, listens, worker, eventually, locally, bits, spots, wait_for_step, tmp_path
):
    # Of more data than the log, so that a limit on a file's size is met by checkpoints alone.
    problem = ("--dataset=digits", "--architecture=fc", "--depth=1", "--ipc=50", "--steps=40",
               "--target_batch=100", "--checkpoint_every=5", "--eval_every=0")  # fmt: skip
    command = ("serve", *listens, *problem, "--heartbeat=0.5", "--out=run")
    server, worker = processes.start(*command), worker()
    wait_for_step(server, tmp_path / "run", 10)
    _, most = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (200_000, most))
    eventually(lambda: "is not saved" in server.said, "out of room", command=server)
    (saved,) = set(re.findall(r"the last checkpoint is that of step (\d+)", server.said))
    server.send(signal.SIGKILL)
    server.wait(20)
    assert not list((tmp_path / "run").rglob("*.tmp*"))
    server = processes.start(*command)
    assert server.wait() == 0, server.said
    assert f"going on after step {saved}" in server.said
    assert bits(tmp_path / "run") == locally(problem)
    assert worker.wait(20) == 0, worker.said


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_the_clocks_of_the_server_jump(
    serve, worker, wait_for_step, locally, bits, problem, tmp_path, seconds
):
    server, workers = serve(LEAP.format(seconds)), [worker(), worker()]
    wait_for_step(server, tmp_path / "run", 30)
    (tmp_path / "leap").touch()
    wait_for_step(server, tmp_path / "run", 90)
    (tmp_path / "leap").unlink()
    assert server.wait() == 0, server.said
    assert bits(tmp_path / "run") == locally(problem)
    assert [w.wait(20) for w in workers] == [0, 0]
    # A leap is no reason to give workers up.
    assert "lost" not in server.said


def test_the_tasks_of_a_killed_worker_run_again_within_two_heartbeats(
    processes, listens, worker, eventually, tmp_path
):
    # Passes of many seconds, and the heartbeat that a server has by default.
    problem = ("--dataset=digits", "--ipc=120", "--target_batch=1300", "--steps=50")
    server = processes.start(*("serve", *listens, *problem, "--eval_every=0", "--out=run"))
    heartbeat, victim, other = 3.0, worker(), worker()
    joined = r":(\d+)\) has joined"
    eventually(
        lambda: len(re.findall(joined, server.said)) == 2, "both have joined", command=server
    )
    time.sleep(heartbeat)
    killed = time.monotonic()
    victim.send(signal.SIGKILL)
    pattern = rf":{victim.pid}\) is lost with (\d+) task"
    lost = eventually(lambda: re.search(pattern, server.said), "lost", 20, server)
    # The machine is shared by all that computes here: half a heartbeat for that.
    assert time.monotonic() - killed < 2.5 * heartbeat
    # The other one may have been quicker still, and have done the task of one that takes too long.
    assert int(lost[1]) > 0 or f":{victim.pid}) too long" in server.said
    other.send(signal.SIGTERM)
    server.send(signal.SIGTERM)
