import logging
import time

import numpy as np
import pytest

import stillhouse
from stillhouse.data.wire import digest, pack
from stillhouse.methods.programs import Context
from stillhouse.methods.tasks import PROTOCOL, run_task
from stillhouse.workers import leased
from stillhouse.workers.loop import Refused, ServerGone, work

PATIENCE = 60
UNKNOWN = {"status": "unknown"}


def assert_all_done(server, tasks):
    """Every task has the very bits that its kernel gives here."""
    assert sorted(server.results) == sorted(server.entries)
    for name, task in zip(server.entries, tasks, strict=True):
        expected = run_task(Context("xla", 1), task)
        for result, wanted in zip(server.results[name], expected, strict=True):
            np.testing.assert_array_equal(result, wanted)


def until(condition):
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


def test_all_tasks_are_computed_to_the_bit(stand_in, tasks):
    server = stand_in(tasks)
    done = work(server, threads=1)
    assert_all_done(server, tasks)
    assert (done.end, done.tasks) == ("finished", len(tasks))
    assert done.work == {"kernel elements": sum(task.work for task in tasks)}
    assert done.seconds["kernel elements"] > 0
    assert server.left == ["w1"]


def test_it_says_who_it_is(stand_in):
    server = stand_in()
    work(server, device="gpu:1", threads=3)
    (info,) = server.infos
    assert (info["version"], info["protocol"]) == (stillhouse.__version__, PROTOCOL)
    assert (info["device"], info["threads"], info["backend"]) == ("gpu:1", 3, "")
    assert info["host"] and info["pid"]


def test_an_image_travels_once(stand_in, tasks):
    server = stand_in(tasks)
    work(server, threads=1)
    fetched = [name for _, hashes in server.called("fetch") for name in hashes]
    assert sorted(fetched) == sorted(server.blobs)


def test_what_came_with_a_task_is_not_asked_for(stand_in, tasks):
    server = stand_in(tasks)
    first = server.entries["t0"]
    first["enclosed"] = {name: server.blobs[name] for name in first["shared"][:1]}
    work(server, threads=1)
    fetched = [name for _, hashes in server.called("fetch") for name in hashes]
    assert sorted([*fetched, *first["enclosed"]]) == sorted(server.blobs)
    assert set(server.results) == set(server.entries)


def test_what_came_under_a_wrong_hash_is_no_task(stand_in, tasks):
    server = stand_in(tasks)
    first = server.entries["t0"]
    first["enclosed"] = {first["shared"][0]: pack(np.zeros((2, 8, 8, 1), np.float32))}
    work(server, threads=1)
    assert "another hash" in server.failures["t0"][1]


def test_without_a_cache_it_works_too(stand_in, tasks):
    server = stand_in(tasks)
    work(server, threads=1, cache_bytes=0)
    assert_all_done(server, tasks)


def test_two_tasks_are_held_at_most(stand_in, tasks):
    server = stand_in(tasks)
    work(server, threads=1)
    assert {most for _, most in server.called("lease")} == {2}
    assert max(len(names) for _, names, _ in server.beats or [("", (), {})]) <= 3
    assert all(most <= 1 for *_, most in server.called("complete")[:-1])


def test_the_next_images_are_fetched_while_one_task_is_computed(
    stand_in, tasks, slowly, background
):
    server = stand_in(tasks[:2])
    result = background(server, threads=1)
    assert slowly.begun.wait(PATIENCE)
    until(lambda: sum(len(hashes) for _, hashes in server.called("fetch")) == len(server.blobs))
    assert not server.results
    slowly.goes_on.set()
    assert result().tasks == 2


def test_it_shows_signs_of_life_while_it_computes(stand_in, tasks, slowly, background):
    server = stand_in(tasks[:2])
    result = background(server, threads=1)
    assert slowly.begun.wait(PATIENCE)
    until(lambda: len(server.beats) > 5)
    assert server.beats[-1][:2] == ("w1", ["t0", "t1"])
    assert server.beats[-1][2] == {"tasks": 0, "seconds": 0}
    slowly.goes_on.set()
    result()


def test_a_server_that_is_away_for_a_while_is_found_again(stand_in, tasks, caplog):
    server = stand_in(tasks)
    for method in ("register", "lease", "fetch", "complete", "heartbeat"):
        server.next_answers[method] += [ServerGone("no answer"), ServerGone("no answer")]
    with caplog.at_level(logging.INFO, "stillhouse.workers"):
        assert work(server, threads=1).end == "finished"
    assert_all_done(server, tasks)
    told = [record.getMessage() for record in caplog.records]
    assert sum(message == "the server answers again" for message in told) == 4
    assert sum(message.startswith("no answer; trying again for ") for message in told) == 4


def test_a_server_that_stays_away_is_given_up(stand_in, tasks):
    server = stand_in(tasks)
    server.next_answers["lease"] += [ServerGone("no answer from x:1")] * 1000
    server.next_answers["leave"] += [ServerGone("no answer from x:1")]
    begun = time.monotonic()
    done = work(server, threads=1, max_idle=0.5)
    assert (done.end, done.reason, done.tasks) == ("gone", "no answer from x:1", 0)
    assert 0.5 <= time.monotonic() - begun < 5


@pytest.mark.parametrize("method", ["lease", "fetch", "complete"])
def test_forgotten_it_registers_again_and_loses_no_result(stand_in, tasks, method):
    server = stand_in(tasks[:2])
    server.next_answers[method] += [UNKNOWN]
    if method == "fetch":
        # What it had leased by then goes to it again, as it would to anybody.
        queue = list(server.queue)
        server.next_answers["lease"] += [None, {"status": "ok", "wait": 0, "tasks": [
            server.entries[name] for name in queue]}]  # fmt: skip
    assert work(server, threads=1).end == "finished"
    assert len(server.infos) == 2
    assert_all_done(server, tasks[:2])
    assert server.left == ["w2"]
    handed_in = [task for _, task, *_ in server.called("complete")]
    assert sorted(set(handed_in)) == ["t0", "t1"]


def test_another_run_may_want_another_backend(stand_in, tasks):
    server = stand_in(tasks[:2])
    server.next_answers["register"] += [{
        "status": "ok", "worker": "w1", "heartbeat": 1,
        "run": {"backend": "abacus", "summary": "a run before"},
    }]  # fmt: skip
    server.next_answers["lease"] += [UNKNOWN]
    assert work(server, threads=1).end == "finished"
    assert_all_done(server, tasks[:2])


def test_refused_it_says_why(stand_in):
    server = stand_in()
    server.next_answers["register"] += [{"status": "refused", "reason": "of version 7"}]
    with pytest.raises(Refused, match="^of version 7$"):
        work(server)
    assert not server.left


@pytest.mark.parametrize("answer", [None, 3, "ok", {}, {"status": "fine"}])
def test_what_is_no_server_of_ours_is_refused(stand_in, answer):
    class Other(stand_in):
        def register(self, info):
            return answer

    with pytest.raises(Refused, match="no answer of a stillhouse server"):
        work(Other())


def test_quarantined_it_ends_with_the_reason(stand_in, tasks):
    server = stand_in(tasks)
    server.next_answers["lease"] += [{"status": "quarantined", "reason": "3 bad results"}]
    done = work(server, threads=1)
    assert (done.end, done.reason) == ("quarantined", "3 bad results")


def test_a_revoked_task_is_not_handed_in(stand_in, tasks, slowly, background):
    server = stand_in(tasks[:3])
    result = background(server, threads=1)
    assert slowly.begun.wait(PATIENCE)
    server.revoked |= {"t0", "t1"}
    until(lambda: any("t1" in names for _, names, _ in server.beats))
    beats = len(server.beats)
    until(lambda: len(server.beats) > beats + 1)
    slowly.goes_on.set()
    result()
    assert list(server.results) == ["t2"]


def test_a_task_whose_images_are_gone_is_dropped(stand_in, tasks):
    server = stand_in(tasks[:2])
    del server.blobs[server.entries["t1"]["shared"][1]]
    server.revoked.add("t1")
    assert work(server, threads=1).tasks == 1
    assert list(server.results) == ["t0"]
    assert not server.failures


@pytest.mark.parametrize("data", [b"junk", pack(np.zeros(3))])
def test_a_blob_that_is_another_fails_the_task(stand_in, tasks, data):
    server = stand_in(tasks[:2])
    server.blobs[server.entries["t1"]["shared"][1]] = data
    assert digest(data) not in server.blobs
    assert work(server, threads=1).tasks == 1
    assert server.failures["t1"][0] == "other"


def test_a_task_that_is_none_fails(stand_in, tasks):
    server = stand_in(tasks[:2])
    server.entries["t0"]["program"] = '{"program":"os.system"}'
    work(server, threads=1)
    kind, reason = server.failures["t0"]
    assert kind == "other"
    assert "no program 'os.system' is known here" in reason
    assert list(server.results) == ["t1"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("too\nsmall"), "value"),
        (FloatingPointError("range"), "value"),
        (MemoryError("little"), "memory"),
        (OSError("broken"), "other"),
    ],
)
def test_what_goes_wrong_is_told_and_the_next_task_computed(
    stand_in, tasks, monkeypatch, error, kind
):
    def compute(context, task):
        if task.program.name == "kernel_gram":
            raise error
        return original(context, task)

    original = leased.compute
    monkeypatch.setattr(leased, "compute", compute)
    server = stand_in(tasks[:2])
    assert work(server, threads=1).tasks == 1
    assert server.failures == {"t0": (kind, f"{type(error).__name__}: {error}")}
    assert list(server.results) == ["t1"]


def test_a_backend_that_is_not_here_is_this_workers_fault(stand_in, tasks):
    server = stand_in(tasks[:1], backend="abacus")
    work(server, threads=1)
    kind, reason = server.failures["t0"]
    assert kind == "other"
    assert "`backend` must be one of" in reason
