import threading
import time

import pytest

from stillhouse.workers.loop import ServerGone, work

PATIENCE = 60


def test_asked_to_stop_it_finishes_what_it_computes(stand_in, tasks, slowly, background):
    server, stop = stand_in(tasks[:2]), threading.Event()
    result = background(server, threads=1, should_stop=stop.is_set)
    assert slowly.begun.wait(PATIENCE)
    stop.set()
    slowly.goes_on.set()
    done = result()
    assert (done.end, done.tasks) == ("stopped", 1)
    assert list(server.results) == ["t0"]
    assert server.called("complete")[-1][-1] == 0
    assert server.left == ["w1"]


def test_asked_to_stop_it_drops_what_takes_long(stand_in, tasks, slowly, background, monkeypatch):
    monkeypatch.setattr("stillhouse.workers.loop._GRACE_SECONDS", 0.1)
    server, stop = stand_in(tasks[:2]), threading.Event()
    result = background(server, threads=1, should_stop=stop.is_set)
    assert slowly.begun.wait(PATIENCE)
    stop.set()
    assert result().end == "stopped"
    assert server.left == ["w1"]
    assert not server.results


def test_asked_to_stop_it_waits_for_nobody(stand_in, background):
    server, stop = stand_in(), threading.Event()
    server.stops = False
    result = background(server, should_stop=stop.is_set)
    ends = time.monotonic() + PATIENCE
    while len(server.called("lease")) <= 2:
        assert time.monotonic() < ends
        time.sleep(0.005)
    server.next_answers["lease"] += [ServerGone("no answer")] * 1000
    stop.set()
    assert result().end == "stopped"


def test_an_interruption_gives_back_what_it_holds(stand_in, tasks):
    server = stand_in(tasks)

    def stop():
        if server.called("complete"):
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        work(server, threads=1, should_stop=stop)
    assert server.left == ["w1"]
