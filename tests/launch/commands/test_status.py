import json
import shutil
from types import SimpleNamespace

import pytest

from stillhouse.data.distilled import load
from stillhouse.launch.commands import status as module
from stillhouse.launch.commands.status import describe
from stillhouse.methods.computing_kind import in_brief
from stillhouse.methods.device_kind import device_kind
from stillhouse.workers.connection import ServerGone

RUN = "kip on digits: 10 images, 300 steps of 1,000 targets, convnet:3 ntk by fused"
WORKER = {
    "id": "w1",
    "host": "node1",
    "pid": 4321,
    "device": "gpu:0",
    "state": "busy",
    "speeds": {"kernel elements": 1234567.8},
    "attempts": 34,
    "last_seen": 0.24,
}
STATUS = {
    "state": "running",
    "run": RUN,
    "step": 120,
    "steps": 300,
    "loss": 0.0123456,
    "accuracy": 0.98,
    "test_accuracy": None,
    "seconds_left": 250.0,
    "computed_by": ["xla on NVIDIA A"],
    "tasks": {"queued": 12, "leased": 2, "done": 3412, "retries": 1, "attempts": 3415},
    "workers": [WORKER, {**WORKER, "id": "w2", "pid": 77, "state": "lost"}],
}


def test_a_server_s_status_in_words():
    assert describe(STATUS).splitlines() == [
        RUN,
        "step 120/300  loss 0.01235  accuracy 0.980  4 min 10 s left",
        "computed by xla on NVIDIA A",
        "tasks: 12 queued, 2 leased, 3,412 done in 3,415 attempts, 1 of them after a failure",
        "worker  host   pid   device  state  speed                        attempts  last seen",
        "w1      node1  4321  gpu:0   busy   1,234,568 kernel elements/s  34        0.2 s ago",
        "w2      node1  77    gpu:0   lost   1,234,568 kernel elements/s  34        0.2 s ago",
    ]


def test_many_workers_are_summed_up_by_host():
    workers = [
        {**WORKER, "id": f"w{n}", "host": f"node{n % 3}", "state": "busy" if n % 3 else "lost"}
        for n in range(499)
    ]
    workers.append({**WORKER, "host": "node1", "state": "quarantined", "reason": "3 results"})
    lines = describe({**STATUS, "workers": workers}).splitlines()
    head, *rows, last = lines[4:]
    assert head.split() == [
        *("host", "workers", "busy", "idle", "set", "aside", "lost", "speed", "attempts")
    ]
    cells = [row.split() for row in rows]
    # Those with most workers first; what is lost has no speed any more.
    assert [row[:6] for row in cells] == [
        ["node0", "167", "0", "0", "0", "167"],
        ["node1", "167", "166", "0", "1", "0"],
        ["node2", "166", "166", "0", "0", "0"],
        ["in", "all", "500", "332", "0", "1"],
    ]
    assert cells[0][6] == "-" and cells[1][6] == f"{166 * 1234567.8:,.0f}"
    assert last == "w1 is set aside: 3 results"


def test_before_the_first_step_and_the_first_worker_little_is_known():
    empty = dict.fromkeys(("loss", "accuracy", "test_accuracy", "seconds_left"))
    lines = describe({**STATUS, **empty, "step": 0, "steps": 0, "workers": []})
    lines = lines.splitlines()
    assert lines[1] == "before the first step"
    assert lines[-1] == "no workers"


def test_of_a_mixed_fleet_it_says_what_that_means():
    lines = describe({**STATUS, "computed_by": ["xla on A", "cuda on B"]}).splitlines()
    assert lines[2] == "computed by xla on A, and by cuda on B; its bits can not be repeated"


def test_a_finished_run(stillhouse, finished):
    result = stillhouse("status", finished)
    assert (result.code, result.err) == (0, "")
    run, progress, computed_by = result.out.splitlines()
    assert run.startswith("kip on ") and "3 images, 12 steps of 100 targets, fc:1 ntk by" in run
    assert progress.startswith("step 12/12  loss ") and progress.endswith("  finished")
    assert "test " in progress
    kind = load(finished / "distilled.npz").card.computed_by[0]
    assert computed_by == f"computed by {in_brief(kind)}" and len(kind) > len(in_brief(kind))
    assert f" on {device_kind('cpu')}" in computed_by


def test_as_json_and_watched_until_the_end(stillhouse, finished):
    result = stillhouse("status", finished, "--json", "--watch")
    status = json.loads(result.out)
    scores = json.loads((finished / "result.json").read_text())
    assert status["state"] == "finished" and (status["step"], status["steps"]) == (12, 12)
    assert status["test_accuracy"] == scores["test_accuracy"]
    assert status["seconds_left"] == 0


@pytest.fixture
def unfinished(finished, tmp_path):
    """A run whose first five steps are done, a second each."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    (folder / "result.json").unlink()
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    text = "".join(json.dumps({**line, "seconds": line["step"]}) + "\n" for line in lines[:6])
    (folder / "metrics.jsonl").write_text(text + '{"step": 6, "lo')
    return folder


def test_an_unfinished_run_tells_the_time_left(stillhouse, unfinished):
    result = stillhouse("status", unfinished)
    assert result.code == 0
    progress = result.out.splitlines()[1]
    assert progress.startswith("step 5/12  ") and "  7.0 s left  last step 0." in progress


def test_a_run_is_watched_step_by_step(stillhouse, unfinished, monkeypatch, finished):
    def wait(seconds):
        shutil.copy(finished / "metrics.jsonl", unfinished)
        shutil.copy(finished / "result.json", unfinished)

    monkeypatch.setattr(module.time, "sleep", wait)
    result = stillhouse("status", unfinished, "--watch", "--json")
    steps = [json.loads(line)["step"] for line in result.out.splitlines()]
    assert (result.code, steps) == (0, [5, 12])


def test_a_server_that_is_started_again_is_still_watched(stillhouse, monkeypatch):
    """And one that has ended is not waited for without end."""
    times = iter(range(0, 10_000, 7))
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(times)))
    answers = iter([3, None, None, 4, *[None] * 20])

    def status():
        if (step := next(answers)) is None:
            raise ServerGone("no answer from the server at localhost:18400")
        values = dict.fromkeys(("loss", "accuracy", "test_accuracy", "seconds_left"))
        return {"run": {"summary": "a run"}, "step": step, "steps": 5, **values}

    server = SimpleNamespace(status=status)
    monkeypatch.setattr(module, "connect", lambda *arguments, **options: server)
    result = stillhouse("status", "--server=localhost:18400", "--watch", "--json")
    steps = [json.loads(line)["step"] for line in result.out.splitlines()]
    assert (result.code, steps) == (0, [3, 4])
    assert "no answer from the server" in result.err and "may have ended" in result.err


def test_a_run_that_has_just_begun(stillhouse, unfinished):
    (unfinished / "metrics.jsonl").unlink()
    result = stillhouse("status", unfinished)
    assert result.out.splitlines()[1] == "step 0/12"


def test_what_is_no_run_folder_is_refused(refused, unfinished):
    assert "no run folder" in refused("status", "nowhere")
    (unfinished / "config.json").write_text("{")
    assert "config.json is damaged" in refused("status", unfinished)
    (unfinished / "config.json").write_text("{}")
    assert "not the configuration of a run" in refused("status", unfinished)


def test_one_of_folder_and_server_must_be_named(refused, finished):
    for arguments in ((), (finished, "--server=localhost:18400")):
        assert "either a run folder" in refused("status", *arguments)


def test_a_wrong_address_is_refused(refused):
    for address in ("localhost", ":18400", "localhost:0", "localhost:http", "localhost:99999"):
        assert "`--server` must be host:port" in refused("status", f"--server={address}")
