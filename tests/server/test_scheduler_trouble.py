"""What the scheduler does when workers fail, fall silent or dawdle."""

from stillhouse.server.leases import TaskRecord


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


def fail_at(desk, worker, times=3, kind="other", reason="no such device"):
    for _ in range(times):
        (id,) = desk.scheduler.lease(worker)
        desk.scheduler.fail(worker, id, reason, kind)


def test_a_worker_that_fails_at_everything_is_set_aside_and_others_go_on(desk):
    ids = desk.submit(9)
    broken, other = desk.worker("far"), desk.worker()
    fail_at(desk, broken)
    assert desk.scheduler.roster.get(broken).state == "quarantined"
    assert desk.scheduler.lease(broken) == []
    desk.wait(200, other, broken)
    assert (
        "far:7" in desk.said("quarantined")[0] and "no such device" in desk.said("quarantined")[0]
    )
    assert desk.scheduler.failure(ids) is None
    for id in ids:
        assert desk.scheduler.lease(other) == [id]
        desk.scheduler.complete(other, id, "x")
    assert desk.scheduler.gather(ids) == ["x"] * 9


def test_the_only_worker_that_fails_at_everything_is_waited_with_for_another(desk):
    ids = desk.submit(2)
    fail_at(desk, desk.worker("far"))
    desk.wait(59)
    (warned,) = set(desk.said("alone"))
    assert "far:7" in warned and "ends in 60 s" in warned and "no such device" in warned
    assert desk.scheduler.failure(ids) is None
    other = desk.worker()
    desk.wait(120, other)
    assert desk.scheduler.lease(other, 2) == ids


def test_who_finds_fault_with_what_others_can_compute_is_set_aside(desk):
    ids = desk.submit(4)
    broken, other = desk.worker("far"), desk.worker()
    fail_at(desk, broken, kind="value", reason="not finite")
    assert desk.scheduler.roster.get(broken).state == "live"
    for id in ids[:3]:
        assert desk.scheduler.lease(other) == [id]
        desk.scheduler.complete(other, id, "x")
    assert desk.scheduler.roster.get(broken).state == "quarantined"
    assert desk.scheduler.roster.get(other).state == "live"


def test_where_no_other_comes_it_is_over_and_the_log_says_why(desk):
    ids = desk.submit(2)
    worker = desk.worker("far")
    fail_at(desk, worker, times=6, kind="value", reason="NaN")
    assert desk.scheduler.lease(worker) == []
    desk.wait(61, worker)
    assert len(desk.said("alone")) == 1
    assert desk.scheduler.failure(ids).reason == "NaN"
    assert "is given up: it failed on worker" in desk.said("failed")[-1]


def test_one_that_has_computed_others_is_believed_that_the_arrays_are_at_fault(desk):
    ids = desk.submit(3)
    worker = desk.worker()
    desk.scheduler.lease(worker)
    desk.scheduler.complete(worker, ids[0], "x")
    desk.wait(1, worker)
    fail_at(desk, worker, kind="value")
    assert desk.scheduler.failure(ids).kind == "value"


def test_where_two_have_failed_at_a_task_and_are_all_there_are_it_is_over(desk):
    (id,) = desk.submit(1)
    workers = [desk.worker(), desk.worker()]
    for worker in (*workers, workers[0]):
        assert desk.scheduler.failure([id]) is None
        assert desk.scheduler.lease(worker) == [id]
        desk.scheduler.fail(worker, id, "no such device")
    assert desk.scheduler.failure([id]).reason == "no such device"


def test_three_processes_of_one_host_prove_nothing_beside_another_host(desk):
    ids = desk.submit(1)
    elsewhere = desk.worker("near")
    for _ in range(4):
        fail_at(desk, desk.worker("far"), times=1)
        assert desk.scheduler.failure(ids) is None
    assert desk.scheduler.lease(elsewhere) == ids


def test_a_task_that_hangs_in_the_first_of_its_kind_gets_ever_more_backups(desk):
    ids = desk.submit(1)
    workers = [desk.worker(f"h{number}") for number in range(6)]
    lent_at = []
    desk.scheduler.lease(workers[0])
    for second in range(400):
        desk.wait(1, *workers)
        for worker in workers[1:]:
            if not desk.held(worker) and desk.scheduler.lease(worker):
                lent_at.append(second + 1)
    # Nothing is known of its kind: after half a minute, then after twice as long each; three.
    assert lent_at == [31, 61, 121]
    assert "h0:7" in desk.said("backup")[0] and ids[0] in desk.said("backup")[0]
    assert desk.scheduler.complete(workers[3], ids[0], "x") == "first"


def test_what_others_of_the_same_units_take_tells_of_a_new_kind(desk):
    easy, hard = desk.scheduler.submit([TaskRecord(10, kind="a"), TaskRecord(20, kind="b")])
    worker, other = desk.worker(), desk.worker()
    assert desk.scheduler.lease(worker) == [easy] and desk.scheduler.lease(other) == [hard]
    desk.wait(1, worker, other)
    desk.scheduler.complete(worker, easy, "x")
    desk.wait(5, worker, other)
    assert desk.scheduler.lease(worker) == []  # Twice the work, three times as long.
    desk.wait(1, worker, other)
    assert desk.scheduler.lease(worker) == [hard]


def test_two_workers_that_hang_are_named_and_set_aside_though_others_were_first(make_desk):
    desk = make_desk(task_limit=100.0)
    ids = desk.submit(1)
    hung, too, sound = desk.worker("h0"), desk.worker("h1"), desk.worker("h2")
    named, done = {hung: desk.scheduler.lease(hung), too: []}, []
    for _ in range(150):
        for worker, names in named.items():
            desk.scheduler.renew(worker, names)
        desk.wait(1, sound)
        named[too] += desk.scheduler.lease(too)
        if not done and named[too] and desk.scheduler.lease(sound):
            done.append(desk.scheduler.complete(sound, ids[0], "x"))
    assert done == ["first"]
    slow = desk.said("slow")
    assert "h0:7" in slow[0] and ids[0] in slow[0] and "h1:7" in slow[1]
    first, second = desk.said("quarantined")
    assert "h0:7" in first and "does not come back from task" in first and "h1:7" in second
    assert desk.scheduler.roster.live == 1


def test_a_limit_takes_a_lease_away_and_grows_with_each_worker(make_desk):
    desk = make_desk(task_limit=10.0)
    ids = desk.submit(1)
    for limit in (10, 20, 40):
        worker = desk.worker()
        assert desk.scheduler.lease(worker) == ids
        desk.wait(limit, worker)
        assert desk.held(worker) == ids
        desk.wait(1, worker)
        assert desk.scheduler.roster.get(worker).state == "quarantined"
        assert desk.counts("queued", "leased") == (1, 0)


def test_a_limit_goes_by_what_is_usual_and_by_a_slow_worker_itself(desk):
    ids = desk.submit(9)
    fast, slow = desk.worker(), desk.worker()
    desk.scheduler.lease(slow)
    desk.wait(20, slow, fast)
    desk.scheduler.complete(slow, ids[0], "x")
    for _ in range(3):
        (id,) = desk.scheduler.lease(fast)
        desk.wait(5, slow, fast)
        desk.scheduler.complete(fast, id, "x")
    desk.scheduler.lease(slow), desk.scheduler.lease(fast)
    desk.wait(301, slow, fast)  # Thirty times ten seconds; five minutes at the least.
    states = [desk.scheduler.roster.get(worker).state for worker in (fast, slow)]
    assert states == ["quarantined", "live"]
    desk.wait(300, slow)
    assert desk.scheduler.roster.get(slow).state == "quarantined"


def test_while_the_server_slept_nobody_took_long(make_desk):
    desk = make_desk(task_limit=10.0)
    ids = desk.submit(1)
    worker = desk.worker()
    assert desk.scheduler.lease(worker) == ids
    desk.wait(2, worker)
    desk.clock.seconds += 600
    desk.scheduler.tick()
    desk.wait(3, worker)
    assert desk.held(worker) == ids


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
