"""What the scheduler does when workers fail, fall silent or dawdle."""


def test_a_silent_worker_is_lost_and_its_task_goes_first(desk):
    ids = desk.submit(4)
    silent, other = desk.worker("far"), desk.worker()
    assert desk.scheduler.lease(silent) == [ids[0]]
    desk.wait(5, other)
    assert desk.scheduler.roster.get(silent)
    desk.wait(1, other)
    assert desk.scheduler.roster.get(silent) is None
    assert "far:7" in desk.said("lost")[0] and "silent for 6.0 s" in desk.said("lost")[0]
    assert desk.scheduler.lease(other, 4) == ids
    assert desk.counts("retries", "attempts") == (1, 5)


def test_any_call_is_a_sign_of_life(desk):
    worker = desk.worker()
    for _ in range(5):
        desk.wait(4)
        desk.scheduler.hear(worker)
    assert desk.scheduler.roster.live == 1


def test_a_heartbeat_extends_the_leases_that_it_names(desk):
    desk.submit(2)
    worker = desk.worker()
    named, forgotten = desk.scheduler.lease(worker, 2)
    for _ in range(40):
        desk.wait(3)
        desk.scheduler.renew(worker, [named])
    assert desk.held(worker) == [named]
    assert forgotten in desk.said("expired")[0]
    # Within seconds: it never reached the worker.
    assert desk.counts("queued") == (1,)


def test_a_lease_ends_whose_worker_makes_other_calls_only(desk):
    (id,) = desk.submit(1)
    worker = desk.worker()
    desk.scheduler.lease(worker)
    for _ in range(59):
        desk.wait(1)
        desk.scheduler.hear(worker)
    assert desk.held(worker) == [id]
    desk.wait(2)
    assert desk.held(worker) == []


def test_who_was_cut_off_gets_back_what_nobody_else_has(desk):
    ids = desk.submit(2)
    worker = desk.worker()
    assert desk.scheduler.lease(worker, 2) == ids
    desk.scheduler.worker_lost(worker, "cut off")
    assert desk.scheduler.lease(desk.worker()) == ids[:1]
    again = desk.worker()
    assert desk.scheduler.renew(again, ids) == ids[:1]
    assert desk.held(again) == ids[1:]
    assert desk.scheduler.complete(again, ids[1], "x") == "first"


def test_a_worker_that_leaves_gives_its_tasks_back(desk):
    ids = desk.submit(2)
    worker, other = desk.worker(), desk.worker()
    desk.scheduler.lease(worker, 2)
    desk.scheduler.leave(worker)
    desk.scheduler.leave(worker)
    assert desk.scheduler.roster.all() == [desk.scheduler.roster.get(other)]
    assert desk.scheduler.lease(other, 2) == ids


def test_a_failed_task_goes_to_another_worker(desk):
    ids = desk.submit(2)
    worker, other = desk.worker(), desk.worker()
    desk.scheduler.lease(worker)
    assert desk.scheduler.fail(worker, ids[0], "no memory", "memory")
    assert not desk.scheduler.fail(worker, ids[0], "no memory", "memory")
    assert desk.scheduler.lease(worker) == [ids[1]]
    desk.scheduler.complete(worker, ids[1], "x")
    assert desk.scheduler.lease(worker) == []
    assert desk.scheduler.renew(worker, [ids[0]]) == [ids[0]]
    desk.scheduler.leave(other)
    # There is nobody else left to try it.
    assert desk.scheduler.lease(worker) == [ids[0]]


def test_a_task_that_fails_everywhere_is_given_up(desk):
    ids = desk.submit(2)
    workers = [desk.worker() for _ in range(3)]
    for number, worker in enumerate(workers):
        assert desk.scheduler.failure(ids) is None
        assert desk.scheduler.lease(worker) == ids[:1]
        desk.scheduler.fail(worker, ids[0], f"reason {number}", "value")
    failure = desk.scheduler.failure(ids)
    assert (failure.kind, failure.reason) == ("value", "reason 2")
    assert desk.scheduler.complete(workers[0], ids[0], "late") == "duplicate"
    assert desk.scheduler.lease(workers[0]) == [ids[1]]
    desk.scheduler.cancel(ids)
    assert desk.scheduler.failure(ids) is None


def test_a_task_that_nobody_survives_is_given_up(make_desk):
    desk = make_desk(max_losses=3)
    ids = desk.submit(1)
    for _ in range(3):
        assert desk.scheduler.failure(ids) is None
        worker = desk.worker()
        desk.scheduler.lease(worker)
        desk.scheduler.worker_lost(worker, "killed")
    assert "3 times" in desk.scheduler.failure(ids).reason
    assert "killed" in desk.scheduler.failure(ids).reason


def test_three_bad_results_put_a_worker_in_quarantine(desk):
    ids = desk.submit(5)
    worker, other = desk.worker(), desk.worker()
    for id in ids[:3]:
        assert desk.scheduler.lease(worker) == [id]
        desk.scheduler.reject(worker, id, "it holds NaN", "value")
    assert desk.scheduler.roster.get(worker).state == "quarantined"
    assert desk.scheduler.lease(worker) == []
    assert desk.scheduler.complete(worker, ids[0], "x") == "unknown"
    desk.wait(1, other)
    assert "it holds NaN" in desk.said("quarantined")[0]
    assert desk.scheduler.lease(other, 5) == ids


def test_a_worker_that_fails_at_everything_is_put_in_quarantine_but_not_the_last(desk):
    desk.submit(9)
    broken, other = desk.worker(), desk.worker()
    for worker, expected in ((broken, "quarantined"), (other, "live")):
        for _ in range(3):
            (id,) = desk.scheduler.lease(worker)
            desk.scheduler.fail(worker, id, "no such device")
        assert desk.scheduler.roster.get(worker).state == expected


def test_a_straggler_gets_a_backup_and_the_faster_one_wins(desk):
    ids = desk.submit(4)
    slow, fast = desk.worker(), desk.worker()
    assert desk.scheduler.lease(slow) == [ids[0]]
    for id in ids[1:]:
        assert desk.scheduler.lease(fast) == [id]
        desk.wait(2, slow, fast)
        desk.scheduler.complete(fast, id, "fast")
    assert desk.scheduler.lease(fast) == []  # It takes three times as long, but not longer.
    desk.wait(1, slow, fast)
    assert desk.scheduler.lease(fast) == ids[:1]
    assert desk.scheduler.lease(desk.worker()) == []  # One backup will do.
    assert desk.scheduler.complete(fast, ids[0], "fast") == "first"
    assert desk.scheduler.renew(slow, ids[:1]) == ids[:1]
    assert desk.counts("retries", "attempts") == (0, 5)
    desk.wait(1, slow, fast)
    assert ids[0] in desk.said("backup")[0]


def test_a_task_that_waits_at_its_worker_is_no_straggler(desk):
    ids = desk.submit(3)
    worker, other = desk.worker(), desk.worker()
    assert desk.scheduler.lease(worker, 2) == ids[:2]
    assert desk.scheduler.lease(other) == ids[2:]
    desk.wait(2, worker, other)
    desk.scheduler.complete(other, ids[2], "x")
    desk.wait(2, worker, other)
    desk.scheduler.complete(worker, ids[0], "x")
    desk.wait(3, worker, other)  # Seven seconds lent, but three computed.
    assert desk.scheduler.lease(other) == []


def test_a_clock_that_is_set_back_does_no_harm(desk):
    (id,) = desk.submit(1)
    worker, silent = desk.worker(), desk.worker()
    desk.scheduler.lease(worker)
    for _ in range(9):
        desk.clock.seconds -= 1000
        desk.wait(2, worker)
    assert desk.held(worker) == [id]
    assert desk.scheduler.roster.get(silent) is None


def test_while_the_server_slept_nobody_was_silent(desk):
    (id,) = desk.submit(1)
    worker = desk.worker()
    desk.scheduler.lease(worker)
    desk.wait(2, worker)
    desk.clock.seconds += 600
    desk.scheduler.tick()
    assert desk.held(worker) == [id]
    desk.wait(6)
    assert desk.scheduler.roster.live == 0


def test_only_the_last_of_the_lost_are_remembered(desk):
    for _ in range(300):
        desk.scheduler.worker_lost(desk.worker(), "gone")
    assert len(desk.scheduler.roster.all()) == 256
