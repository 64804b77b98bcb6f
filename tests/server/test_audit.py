"""Results compared between workers: whoever is wrong is found out, and nothing of his believed."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillhouse.server.audit import Audit
from stillhouse.server.leases import TaskRecord, WorkerInfo
from stillhouse.server.scheduler import Scheduler


def test_the_seed_chooses_about_so_many():
    chosen = [audit.chooses() for audit in [Audit(0.1, 7)] for _ in range(5000)]
    assert 400 < sum(chosen) < 600
    again, other = Audit(0.1, 7), Audit(0.1, 8)
    assert [again.chooses() for _ in range(5000)] == chosen
    assert [other.chooses() for _ in range(5000)] != chosen
    assert not any(Audit(0.0).chooses() for _ in range(100))
    assert all(Audit(1.0).chooses() for _ in range(100))


def test_it_counts_on_after_a_restart():
    audit = Audit(0.5, compared=3, set_aside=["worker w1 (a:1)"])
    later = Audit(0.5)
    later.go_on(audit.describe())
    assert later.describe() == audit.describe()
    assert Audit().describe() == {}


@pytest.fixture
def audited(make_desk):
    """A desk, one audited task, and workers on hosts of their own."""
    audit = Audit(1.0)
    desk = make_desk(audit=audit)
    desk.audit = audit
    (id,) = desk.scheduler.submit([TaskRecord(10, audited=True)])
    return desk, id, [desk.worker(f"h{number}") for number in range(4)]


def hand_in(desk, worker, id, bits):
    assert desk.scheduler.lease(worker) == [id]
    return desk.scheduler.complete(worker, id, bits, bits)


def test_two_workers_that_agree(audited):
    desk, id, (one, other, *_) = audited
    assert hand_in(desk, one, id, "x") == "first"
    assert desk.scheduler.gather([id]) == [] and desk.scheduler.lease(one) == []
    hand_in(desk, other, id, "x")
    assert desk.scheduler.gather([id]) == ["x"]
    assert not desk.scheduler.take_spoiled()
    assert desk.audit.compared == 1


@pytest.mark.parametrize("wrong", [0, 1])
def test_of_two_that_differ_a_third_decides_and_the_odd_one_is_set_aside(audited, wrong):
    desk, id, workers = audited
    for number, worker in enumerate(workers[:3]):
        assert desk.scheduler.gather([id]) == []
        hand_in(desk, worker, id, "wrong" if number == wrong else "x")
    assert desk.scheduler.gather([id]) == ["x"]
    states = [desk.scheduler.roster.get(worker).state for worker in workers]
    assert states == ["quarantined" if n == wrong else "live" for n in range(4)]
    assert f"h{wrong}:7" in desk.scheduler.take_spoiled() and not desk.scheduler.take_spoiled()
    desk.wait(1, *workers)
    assert "a third decides" in desk.said("audit")[0]
    assert f"h{wrong}:7" in desk.said("quarantined")[0]
    assert desk.audit.describe()["set_aside"][0].startswith("worker w")


def test_without_a_second_worker_it_is_believed_after_a_while_and_counted(audited):
    desk, id, (one, *others) = audited
    hand_in(desk, one, id, "x")
    for other in others:
        desk.scheduler.leave(other)
    desk.wait(59, one)
    assert desk.scheduler.gather([id]) == []
    desk.wait(3, one)
    assert desk.scheduler.gather([id]) == ["x"]
    assert desk.audit.missed == 1
    assert "is not compared" in desk.said("audit")[-1]


def test_without_a_third_nobody_is_believed(audited):
    desk, id, (one, other, *others) = audited
    hand_in(desk, one, id, "x")
    hand_in(desk, other, id, "y")
    for worker in others:
        desk.scheduler.leave(worker)
    desk.wait(62, one, other)
    failure = desk.scheduler.failure([id])
    assert "h0:7" in failure.reason and "h1:7" in failure.reason and "no third" in failure.reason


def test_the_same_process_is_no_second_worker(audited):
    desk, id, (one, *others) = audited
    hand_in(desk, one, id, "x")
    assert desk.scheduler.lease(desk.worker("h0")) == []
    assert desk.scheduler.lease(others[0]) == [id]


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_of_a_workers_results_more_than_the_share_are_compared(share):
    """2a / (1 + a) of them, since whatever is compared is computed twice."""
    rng, seconds, audit = random.Random(0), 0.0, Audit(share)
    scheduler = Scheduler(lambda: seconds, audit=Audit(share))
    records = [TaskRecord(1, audited=audit.chooses()) for _ in range(8000)]
    ids = scheduler.submit(records)
    audited = {id for id, record in zip(ids, records, strict=True) if record.audited}
    workers = [scheduler.register(WorkerInfo(f"h{number}", 1)) for number in range(3)]
    counts, held = {worker: [0, 0] for worker in workers}, dict.fromkeys(workers)
    while held:
        worker = rng.choice(list(held))
        if (id := held[worker]) is not None:
            counts[worker][id in audited] += 1
            scheduler.complete(worker, id, id, id)
        held[worker] = next(iter(scheduler.lease(worker)), None)
        if held[worker] is None:
            del held[worker]
    for others, compared in counts.values():
        assert compared / (others + compared) == pytest.approx(2 * share / (1 + share), rel=0.15)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_where_all_is_audited_a_liar_changes_nothing(seed):
    rng, seconds = random.Random(seed), 0.0
    scheduler = Scheduler(lambda: seconds, audit=Audit(1.0))
    ids = scheduler.submit([TaskRecord(1, audited=True)] * 12)
    liar, *honest = [scheduler.register(WorkerInfo(f"h{number}", 1)) for number in range(4)]
    held, results = {worker: [] for worker in (liar, *honest)}, []
    for _ in range(2000):
        seconds += 0.1
        worker = rng.choice(list(held))
        held[worker] += scheduler.lease(worker, 2)
        if held[worker] and rng.random() < 0.8:
            id = held[worker].pop(0)
            bits = f"{id} but for {rng.random()}" if worker == liar and rng.random() < 0.5 else id
            scheduler.complete(worker, id, bits, bits)
        for each in held:  # Also who holds nothing shows that it lives.
            gone = scheduler.renew(each, held[each])
            held[each] = [id for id in held[each] if id not in gone]
        scheduler.tick()
        results += scheduler.gather(ids[len(results) :])
    assert results == ids
    assert all(scheduler.roster.get(worker).state == "live" for worker in honest)
