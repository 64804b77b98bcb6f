"""The same bits, whoever computes them, in real processes."""

import importlib.util

import pytest

launchpad = pytest.mark.skipif(
    importlib.util.find_spec("launchpad") is None, reason="needs Launchpad, for Python 3.10"
)
pytestmark = pytest.mark.usefixtures("fully_compiled")
SMALL = ("--architecture=fc", "--depth=1", "--checkpoint_every=4", "--eval_every=5")
LAUNCHPAD = ("--engine=launchpad",)


@pytest.fixture
def problem(request, spots):
    dataset, size = {
        "spots": (spots, ("--steps=12",)),
        "digits": ("digits", ("--steps=6", "--target_batch=200")),
    }[request.param]
    return (f"--dataset={dataset}", *SMALL, *size)


@launchpad
@pytest.mark.parametrize(
    ("problem", "workers"), [("spots", 1), ("digits", 2)], indirect=["problem"]
)
def test_launchpad(processes, problem, locally, bits, tmp_path, workers):
    run = processes.start(
        "distill", *problem, "--engine=launchpad", f"--workers={workers}", "--out=run"
    )
    assert run.wait() == 0, run.said
    assert "test accuracy" in run.said
    assert bits(tmp_path / "run") == locally(problem)
    assert processes.alive() == []


@pytest.mark.parametrize(
    ("problem", "transport"), [("spots", "grpc"), ("digits", "courier")], indirect=True
)
def test_workers_started_by_hand(processes, problem, locally, bits, tmp_path, listens, calls):
    server = processes.start("serve", *listens, *problem, "--out=run")
    workers = [processes.start("worker", *calls, "--threads=1") for _ in range(2)]
    assert server.wait() == 0, server.said
    assert bits(tmp_path / "run") == locally(problem)
    for worker in workers:
        assert worker.wait(20) == 0, worker.said
