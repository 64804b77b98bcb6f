import logging
import threading
import time

import numpy as np
import pytest

from stillhouse.kernels.architecture import conv
from stillhouse.kernels.kernel import kernel
from stillhouse.kernels.spec import KernelSpec
from stillhouse.workers.connection import Refused, ServerGone
from stillhouse.workers.heartbeat import Heartbeat

PATIENCE = 60


@pytest.fixture
def beating(stand_in):
    """A server, and a heartbeat of every twentieth of a second."""
    server = stand_in()
    with Heartbeat(server, lambda: {"n": 1}) as heartbeat:
        yield server, heartbeat


def wait_for_beats(server, count):
    target, ends = len(server.beats) + count, time.monotonic() + PATIENCE
    while len(server.beats) < target:
        assert time.monotonic() < ends
        time.sleep(0.005)


def test_it_is_silent_until_there_is_a_worker(beating):
    server, heartbeat = beating
    time.sleep(0.1)
    assert not server.beats
    heartbeat.beat_as("w1", 0.05)
    wait_for_beats(server, 2)
    assert server.beats[0] == ("w1", [], {"n": 1})


def test_it_names_what_is_held(beating):
    server, heartbeat = beating
    heartbeat.beat_as("w1", 0.05)
    heartbeat.hold("a")
    heartbeat.hold("b")
    wait_for_beats(server, 2)
    assert server.beats[-1][1] == ["a", "b"]
    heartbeat.drop("a")
    wait_for_beats(server, 2)
    assert server.beats[-1][1] == ["b"]


def test_what_is_revoked_is_so_until_dropped(beating):
    server, heartbeat = beating
    server.revoked = {"a", "never held"}
    heartbeat.hold("a")
    heartbeat.hold("b")
    assert not heartbeat.revoked("a")
    heartbeat.beat_as("w1", 0.05)
    wait_for_beats(server, 3)
    heartbeat.hold("a")
    assert (heartbeat.revoked("a"), heartbeat.revoked("b")) == (True, False)
    heartbeat.drop("a")
    assert not heartbeat.revoked("a")


def test_a_new_name_is_told_at_its_own_pace(beating):
    server, heartbeat = beating
    heartbeat.beat_as("w1", 1000.0)
    heartbeat.beat_as("w2", 0.05)
    wait_for_beats(server, 3)
    assert {worker for worker, *_ in server.beats} == {"w2"}


@pytest.mark.parametrize("error", [ServerGone("no answer"), Refused("no server")])
def test_it_goes_on_where_nobody_answers(beating, caplog, error):
    server, heartbeat = beating
    server.next_answers["heartbeat"] += [error, {"status": "unknown"}]
    heartbeat.beat_as("w1", 0.02)
    with caplog.at_level(logging.DEBUG, "stillhouse.workers"):
        wait_for_beats(server, 4)
    assert [record.getMessage() for record in caplog.records] == [f"no heartbeat: {error}"]


def test_ended_it_is_silent(stand_in):
    server = stand_in()
    with Heartbeat(server, dict) as heartbeat:
        heartbeat.beat_as("w1", 0.02)
        wait_for_beats(server, 2)
    time.sleep(0.1)
    beats = len(server.beats)
    time.sleep(0.1)
    assert len(server.beats) == beats
    assert not any(thread.name == "heartbeat" for thread in threading.enumerate())


@pytest.mark.parametrize(("backend", "images"), [("fused", 1024), ("xla", 384)])
def test_it_goes_on_while_a_real_kernel_computes(beating, backend, images):
    server, heartbeat = beating
    one = kernel(KernelSpec(conv(1)), backend=backend, threads=1)
    x = np.random.default_rng(0).normal(size=(images, 16, 16, 1)).astype(np.float32)
    one.gram(x[:2])
    heartbeat.beat_as("w1", 0.02)
    ends, rounds = time.monotonic() + PATIENCE, 0
    # A call at a time, until there were beats in the middle of one.
    while time.monotonic() < ends:
        before = len(server.beats)
        one.gram(x)
        rounds += 1
        if len(server.beats) - before >= 3:
            return
    raise AssertionError(f"no signs of life in {rounds} calls")
