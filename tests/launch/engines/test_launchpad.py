"""The Launchpad engine: how it begins, what it passes on, and its crew."""

import re

import pytest

pytest.importorskip("launchpad", reason="needs Launchpad, which is for Python 3.10")

from stillhouse.launch.engines.engine import engine_for  # noqa: E402
from stillhouse.launch.engines.launchpad import build_program  # noqa: E402
from stillhouse.launch.prepare import prepare  # noqa: E402
from stillhouse.launch.settings.run import (  # noqa: E402
    ComputeConfig,
    DataConfig,
    DistillConfig,
    EngineConfig,
    RunConfig,
)
from stillhouse.methods.kernel_regression.kip_settings import KipSettings  # noqa: E402


@pytest.fixture
def problem(spots):
    return (f"--dataset={spots}", "--architecture=fc", "--depth=1", "--eval_every=0")


def config_of(spots, tmp_path, **engine):
    return DistillConfig(
        data=DataConfig(dataset=str(spots)),
        own=KipSettings(architecture="fc"),
        engine=EngineConfig(engine="launchpad", **engine),
        compute=ComputeConfig(threads=1),
        run=RunConfig(out=str(tmp_path / "run")),
    )


def test_a_run_that_fails_passes_its_code_and_its_line_on(processes, problem):
    run = processes.start(
        *("distill", *problem, "--steps=20", "--learning_rate=1e30", "--out=run"),
        *("--engine=launchpad", "--workers=1"),
    )
    assert run.wait() == 1
    (line,) = [line for line in run.said.splitlines() if "error" in line]
    assert line.startswith("stillhouse distill: error: step ") and "lower `learning_rate`" in line
    assert "Traceback" not in run.said
    assert processes.alive() == []


def test_batches_of_the_loaders_come_in_time_and_are_the_same(
    processes, problem, locally, bits, tmp_path
):
    problem = (*problem, "--steps=150", "--augment", "--noflip")
    run = processes.start(
        *("distill", *problem, "--out=run", "--engine=launchpad", "--workers=1", "--loaders=2")
    )
    assert run.wait() == 0, run.said
    ((came, asked),) = re.findall(r"(\d+) of (\d+) target batches came in time", run.said)
    assert asked == "150" and int(came) > 50
    assert bits(tmp_path / "run") == locally(problem)
    assert processes.alive() == []


@pytest.mark.filterwarnings("ignore:distutils Version:DeprecationWarning")
def test_a_program_has_a_node_for_each_part(spots, tmp_path):
    groups = build_program(config_of(spots, tmp_path, workers=3, loaders=2)).groups
    assert {label: len(nodes) for label, nodes in groups.items()} == {
        "queue": 1,
        "server": 1,
        "worker": 3,
        "loader": 2,
    }
    assert list(build_program(config_of(spots, tmp_path)).groups) == ["server", "worker"]


def test_a_crew_grows_and_shrinks_and_leaves_nobody(spots, tmp_path, eventually):
    config = config_of(spots, tmp_path)
    engine = engine_for(config)
    with engine:
        engine.start(prepare(config))
        assert engine.workers() == ("worker/0",)
        engine.scale(3)
        assert engine.workers() == ("worker/0", "worker/1", "worker/2")
        engine.scale(2)
        assert engine.workers() == ("worker/0", "worker/1")
        engine.kill("worker/0")
        with pytest.raises(KeyError):
            engine.kill("worker/7")
    assert engine.workers() == ()
