"""Processes that are watched, started again, and never left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

from stillhouse.launch.engines import processes
from stillhouse.launch.engines.processes import Crowd, Node, NodeFailedError

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")
DEAF = (
    *(sys.executable, "-c"),
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(processes, "_BETWEEN_STARTS", 0.0)


@pytest.fixture
def crowd():
    with Crowd() as crowd:
        yield crowd


def ending(code):
    return (sys.executable, "-c", f"import sys; sys.exit({code})")


def killing_itself(name):
    return (sys.executable, "-c", f"import os, signal; os.kill(os.getpid(), signal.{name})")


def wait_for_end(node, eventually):
    eventually(lambda: node.poll() is not None, "ended", 20)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_node_that_is_killed_is_started_again_however_often(crowd, eventually, caplog):
    node = crowd.add(Node("worker/0", SLEEP))
    for _ in range(5):
        before = node.pid
        node.send(signal.SIGKILL)
        wait_for_end(node, eventually)
        crowd.mend(except_for="server/0")
        assert node.pid != before and node.poll() is None
    assert caplog.text.count("worker/0 was ended by SIGKILL; started again") == 5


def test_a_node_that_has_nothing_left_to_do_is_left_alone(crowd, eventually):
    node = crowd.add(Node("loader/0", ending(0)))
    wait_for_end(node, eventually)
    before = node.pid
    crowd.mend(except_for="server/0")
    assert node.pid == before


@pytest.mark.parametrize(
    ("command", "how"),
    [(ending(1), "exit code 1"), (killing_itself("SIGSEGV"), "SIGSEGV")],
)
def test_a_node_that_comes_down_by_itself_thrice_ends_the_run(crowd, eventually, command, how):
    node = crowd.add(Node("worker/0", command))
    for _ in range(2):
        wait_for_end(node, eventually)
        crowd.mend(except_for="server/0")
    wait_for_end(node, eventually)
    with pytest.raises(NodeFailedError, match=how):
        crowd.mend(except_for="server/0")


def test_a_node_that_is_refused_is_not_started_again(crowd, eventually):
    node = crowd.add(Node("worker/0", ending(2)))
    wait_for_end(node, eventually)
    with pytest.raises(NodeFailedError):
        crowd.mend(except_for="server/0")


def test_without_a_node_that_is_not_needed_the_others_go_on(crowd, eventually, caplog):
    crowd.add(Node("worker/0", SLEEP))
    node = crowd.add(Node("loader/0", ending(2), needed=False))
    wait_for_end(node, eventually)
    crowd.mend(except_for="server/0")
    assert "going on without it" in caplog.text
    assert crowd.group("loader") == () and crowd.group("worker") == ("worker/0",)


def test_the_one_that_is_watched_otherwise_is_not_mended(crowd, eventually):
    node = crowd.add(Node("server/0", ending(2)))
    wait_for_end(node, eventually)
    crowd.mend(except_for="server/0")


def test_all_end_with_the_crowd_and_who_does_not_is_made_to(monkeypatch):
    monkeypatch.setattr(processes, "_PATIENCE", 1.0)
    with Crowd() as crowd:
        nodes = [crowd.add(Node(f"worker/{i}", c)) for i, c in enumerate((SLEEP, DEAF, SLEEP))]
        time.sleep(1.0)  # Until it is deaf.
        crowd.remove("worker/2")
        assert crowd.group("worker") == ("worker/0", "worker/1")
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    assert [node.poll() for node in nodes] == [-signal.SIGTERM, -signal.SIGKILL, -signal.SIGTERM]


def test_a_child_ends_with_its_parent_even_if_that_is_killed(eventually):
    child = (
        "import os, sys, time; from stillhouse.launch.engines.processes import end_with_parent;"
        "end_with_parent(int(sys.argv[1])); print(os.getpid(), flush=True); time.sleep(60)"
    )
    parent = (
        "import os, subprocess, sys, time;"
        f"subprocess.Popen([sys.executable, '-c', {child!r}, str(os.getpid())]); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    try:
        pid = int(process.stdout.readline())
        assert is_alive(pid)
    finally:
        process.kill()
        process.wait(20)
    eventually(lambda: not is_alive(pid), "ended", 10)
    process.stdout.close()


def test_a_child_whose_parent_ended_before_ends_too():
    program = (
        "from stillhouse.launch.engines.processes import end_with_parent; end_with_parent(1); "
        "print('lives')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, b"")
