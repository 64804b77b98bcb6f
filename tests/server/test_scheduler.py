from stillhouse.server.leases import TaskRecord


def test_a_task_is_lent_done_and_gathered(desk):
    ids = desk.submit(3)
    worker = desk.worker()
    assert desk.scheduler.lease(worker, 2) == ids[:2]
    assert desk.counts("queued", "leased", "done") == (1, 2, 0)
    assert desk.scheduler.complete(worker, ids[0], "a") == "first"
    assert desk.scheduler.gather(ids) == ["a"]
    assert desk.scheduler.gather(ids[1:]) == []
    assert desk.counts("queued", "leased", "done", "attempts") == (1, 1, 1, 2)


def test_results_leave_in_the_order_of_the_tasks(desk):
    ids = desk.submit(4)
    worker = desk.worker()
    desk.scheduler.lease(worker, 4)
    for id in ids[:0:-1]:
        desk.scheduler.complete(worker, id, id)
        assert desk.scheduler.gather(ids) == []
    desk.scheduler.complete(worker, ids[0], ids[0])
    assert desk.scheduler.gather(ids) == ids


def test_the_first_result_wins(desk):
    (id,) = desk.submit(1)
    first, second = desk.worker(), desk.worker()
    desk.scheduler.lease(first)
    desk.scheduler.worker_lost(first, "it said so")
    assert desk.scheduler.lease(second) == [id]
    # It was only slow to answer, and is as right as any other.
    assert desk.scheduler.complete(first, id, "first") == "first"
    assert desk.scheduler.complete(second, id, "second") == "duplicate"
    assert desk.scheduler.gather([id]) == ["first"]
    assert desk.scheduler.complete(second, id, "second") == "duplicate"
    assert desk.scheduler.renew(second, [id]) == [id]


def test_what_was_never_heard_of_is_unknown(desk):
    (id,) = desk.submit(1)
    worker = desk.worker()
    assert desk.scheduler.complete("w9-other", id, "x") == "unknown"
    for wrong in ("", "t", "-", f"{id}0", f"0{id}", id.replace("-1", "-01"), id.split("-")[0]):
        assert desk.scheduler.complete(worker, wrong, "x") == "unknown"
    assert not desk.scheduler.fail(worker, id, "not lent to it")
    assert desk.scheduler.lease("w9-other") == []
    assert desk.counts("queued", "done") == (1, 0)


def test_ids_are_those_of_this_server_alone(make_desk):
    one, other = make_desk(), make_desk()
    assert not set(one.submit(3)) & set(other.submit(3))
    assert one.worker() != other.worker()


def test_a_worker_is_lent_what_it_has_the_images_of(desk):
    rows, cols = "abc", "xyz"
    records = [TaskRecord(1, (row, col)) for row in rows for col in cols]
    ids = dict(zip(desk.scheduler.submit(records), records, strict=True))
    workers = [desk.worker() for _ in range(3)]
    for _ in range(3):
        for worker in workers:
            (id,) = desk.scheduler.lease(worker)
            desk.scheduler.complete(worker, id, "x")
    fetched = [len(worker.blobs) for worker in desk.scheduler.roster.all()]
    assert sum(fetched) < len(ids) + 6, "a second blob each is what cannot be helped"


def test_the_last_tasks_wait_for_whoever_is_free_first(desk):
    ids = desk.submit(4)
    workers = [desk.worker() for _ in range(3)]
    assert desk.scheduler.lease(workers[0], 2) == ids[:2]
    # Two are left, for two workers who compute nothing yet.
    assert desk.scheduler.lease(workers[0], 1) == []
    assert desk.scheduler.lease(workers[1], 2) == [ids[2]]
    assert desk.scheduler.lease(workers[2], 2) == [ids[3]]


def test_nobody_holds_more_than_a_few(desk):
    desk.submit(100)
    worker = desk.worker()
    for _ in range(9):
        desk.scheduler.lease(worker, 2)
    assert len(desk.held(worker)) == 8


def test_cancelled_tasks_are_revoked(desk):
    ids = desk.submit(3)
    worker = desk.worker()
    desk.scheduler.lease(worker, 2)
    desk.scheduler.cancel(ids)
    assert desk.scheduler.renew(worker, ids[:2]) == ids[:2]
    assert desk.scheduler.complete(worker, ids[0], "x") == "duplicate"
    assert desk.counts("queued", "leased") == (0, 0)
