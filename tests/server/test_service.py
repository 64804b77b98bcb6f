import json

import numpy as np
import pytest

from stillhouse.data.wire import digest, unpack
from stillhouse.kernels.architecture import fc
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.programs import KernelBlock, program_from_json
from stillhouse.methods.tasks import Task
from stillhouse.server.device_kinds import DeviceKinds
from stillhouse.server.schedule import Progress


def test_a_worker_gets_tasks_as_plain_values_and_hands_them_in(house):
    joined = house.service.register(house.info)
    assert joined["status"] == "ok" and joined["run"] == house.run
    assert joined["heartbeat"] == 3.0 and joined["max_bytes"] >= 2**26
    worker, entries = joined["worker"], []
    answer = house.service.lease(worker, 2)
    for _ in house.tasks:
        entries += answer["tasks"]
        entry = entries.pop(0)
        task = house.task_of(entry)
        assert program_from_json(entry["program"]) == task.program
        assert entry["work"] == task.work
        for data, array in zip(entry["own"], task.own, strict=True):
            np.testing.assert_array_equal(unpack(data), array)
        blobs = house.service.fetch(worker, entry["shared"])["blobs"]
        for name, x in zip(entry["shared"], task.shared, strict=True):
            assert digest(blobs[name]) == name
            np.testing.assert_array_equal(unpack(blobs[name]), x)
        answer = house.hand_in(worker, entry, 1)
        assert (answer["status"], answer["accepted"]) == ("ok", "first")
    assert len(house.finish()) == len(house.tasks)
    assert house.service.lease(worker, 2)["tasks"] == []
    assert 0 < house.service.lease(worker, 2)["wait"] < 1
    assert house.service.fetch(worker, [digest(b"gone")]) == {"status": "ok", "blobs": {}}


def test_small_arrays_come_with_the_first_task_that_needs_them_and_large_ones_never(make_house):
    small, large = np.zeros((4, 8, 8, 1), np.float32), np.zeros((1100, 8, 8, 1), np.float32)
    house = make_house(tasks=[Task(KernelBlock(KernelSpec(fc(1))), (small, large))] * 2)
    worker = house.service.register(house.info)["worker"]
    first, second = house.service.lease(worker, 2)["tasks"]
    assert first["shared"] == second["shared"] and second["enclosed"] == {}
    ((name, data),) = first["enclosed"].items()
    assert name == first["shared"][0] == digest(data)
    np.testing.assert_array_equal(unpack(data), small)
    assert house.service.status()["traffic"]["down"] == len(data)


@pytest.mark.parametrize(
    ("run", "info", "reason"),
    [
        ({}, {"version": "0.0.1"}, "0.0.1"),
        ({}, {"version": ""}, "this worker's none"),
        ({}, {"protocol": 1}, "protocol 3, this worker 1"),
        ({}, {"config_hash": "c1"}, "configuration is c0, this worker's c1"),
        ({}, {"backend": "fused"}, "by xla, this worker by fused"),
        ({"backend": "fused"}, {}, "gpu:0 cannot"),
        ({}, {"device_kind": ""}, "`device_kind` must name the model"),
        ({}, {"device_kind": "x" * 300}, "`device_kind`"),
        ({}, {"processor": None}, "`processor`"),
        ({}, {"pid": -1}, "`pid`"),
        ({}, {"host": "a\nb"}, "`host`"),
        ({}, {"device": None}, "`device`"),
    ],
)
def test_a_worker_that_would_not_compute_the_same_is_refused(make_house, run, info, reason):
    house = make_house(**run)
    answer = house.service.register({**house.info, **info})
    assert answer["status"] == "refused" and reason in answer["reason"]
    assert house.pool.live == 0
    same = {"config_hash": "c0", "backend": house.service.status()["run"]["backend"]}
    assert house.service.register({**house.info, **same, "device": "cpu"})["status"] == "ok"
    house.close()


def test_the_first_worker_fixes_the_kind_of_device_of_a_run(house):
    house.join()
    other = house.service.register({**house.info, "device_kind": "NVIDIA B"})
    assert other["status"] == "refused"
    kinds = [f"on NVIDIA {name} beside cpu: Intel P (avx2)" for name in "AB"]
    assert f"{kinds[0]}, this worker {kinds[1]}, whose results differ" in other["reason"]
    assert "--any_device" in other["reason"] and "\n" not in other["reason"]
    # Beside a GPU the processor computes something too.
    assert house.service.register({**house.info, "processor": "Other"})["status"] == "refused"
    assert house.service.register(house.info)["status"] == "ok"
    assert house.pool.live == 2


def test_only_what_has_computed_is_said_to_have(make_house):
    house = make_house(DeviceKinds(any_device=True))
    worker, _ = house.join(), house.join(device_kind="NVIDIA B", backend="cuda")
    assert house.service.status()["computed_by"] == []
    (entry,) = house.service.lease(worker, 1)["tasks"]
    assert house.hand_in(worker, entry)["accepted"] == "first"
    assert house.service.status()["computed_by"] == ["xla on NVIDIA A beside cpu: Intel P (avx2)"]
    kinds = {each["kind"] for each in house.service.status()["workers"]}
    beside = "beside cpu: Intel P (avx2)"
    assert kinds == {f"xla on NVIDIA A {beside}", f"cuda on NVIDIA B {beside}"}
    house.close()


def test_who_is_not_there_is_unknown(house):
    worker = house.join()
    (entry,) = house.service.lease(worker, 1)["tasks"]
    house.service.leave(worker)
    for who in (worker, "w9-never"):
        assert house.service.lease(who, 1) == {"status": "unknown"}
        assert house.service.heartbeat(who, [entry["id"]], {}) == {"status": "unknown"}
        assert house.service.fail(who, entry["id"], "other", "late")["status"] == "unknown"
        done = house.service.complete(who, entry["id"], [], 0.1, 1)
        assert (done["status"], done["accepted"]) == ("unknown", "bad")
        assert house.service.leave(who) == {"status": "ok"}
    assert house.service.status()["tasks"]["queued"] == 4


def test_a_heartbeat_is_told_what_is_not_wanted(house):
    worker = house.join()
    ids = [entry["id"] for entry in house.service.lease(worker, 2)["tasks"]]
    answer = house.service.heartbeat(worker, [*ids, "other"], {"tasks": 1})
    assert answer == {"status": "ok", "revoked": ["other"]}


def test_bad_results_end_in_quarantine_and_failures_with_another(house):
    worker, other = house.join(), house.join()
    for _ in range(3):
        (entry,) = house.service.lease(worker, 1)["tasks"]
        answer = house.service.complete(worker, entry["id"], [b"junk"], 0.1, 0)
        assert answer["accepted"] == "bad"
    assert answer["status"] == "quarantined" and "too few" in answer["reason"]
    assert house.service.lease(worker, 1)["status"] == "quarantined"
    assert house.service.heartbeat(worker, [], {})["status"] == "quarantined"
    (entry,) = house.service.lease(other, 1)["tasks"]
    assert house.service.fail(other, entry["id"], "memory", "64 GB\nasked") == {"status": "ok"}


def test_when_it_is_over_everybody_is_told_to_stop(house):
    worker = house.join()
    house.pool.close()
    assert house.service.lease(worker, 1) == {"status": "stop"}
    assert house.service.heartbeat(worker, [], {}) == {"status": "stop"}
    assert house.service.register(house.info) == {"status": "stop"}
    assert house.service.leave(worker) == {"status": "ok"}
    assert house.service.status()["workers"] == []


def test_status_says_how_the_run_is_doing(house):
    idle, busy = house.join(), house.join()
    (entry, _) = house.service.lease(busy, 2)["tasks"]
    assert house.service.status()["step"] == 0 and house.service.status()["seconds_left"] is None
    for step, seconds in ((0, 0.0), (1, 2.0), (2, 4.0)):
        house.clock.seconds = seconds
        values = {"loss": 1.0 / (step + 1), "accuracy": 0.5} if step else {"test_accuracy": 0.25}
        house.service.report(Progress(step, 10, values))
    house.service.heartbeat(busy, [entry["id"]], {})
    house.service.heartbeat(idle, [], {})
    status = house.service.status()
    assert json.loads(json.dumps(status)) == status
    assert (status["step"], status["steps"], status["seconds_left"]) == (2, 10, 16.0)
    assert (status["loss"], status["accuracy"], status["test_accuracy"]) == (1 / 3, 0.5, 0.25)
    tasks = {"queued": 2, "leased": 2, "done": 0, "retries": 0, "attempts": 2, "lost": 0}
    assert (status["run"], status["tasks"]) == (house.run, tasks)
    first, second = status["workers"]
    assert first == {
        **{"id": idle, "host": "there", "pid": 7, "device": "gpu:0", "state": "idle"},
        **{"kind": "xla on NVIDIA A beside cpu: Intel P (avx2)", "speeds": {}, "attempts": 0},
        **{"reason": "", "last_seen": 0.0, "work": {}},
    }
    assert (second["id"], second["state"], second["attempts"]) == (busy, "busy", 2)


def test_a_mistake_of_ours_is_no_traceback_at_the_worker(house, monkeypatch, caplog):
    def broken(*_):
        raise KeyError("a mistake")

    monkeypatch.setattr(house.pool, "counts", broken)
    assert house.service.status()["status"] == "refused"
    assert "a mistake" in caplog.text
