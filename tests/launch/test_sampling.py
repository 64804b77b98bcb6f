import dataclasses

import numpy as np
import pytest

from stillhouse.launch.calibration import StepCalibration
from stillhouse.launch.fleet import enough_workers, plan_fleet
from stillhouse.launch.sampling import SamplingRunner
from stillhouse.methods.programs import ArrayType, Context
from stillhouse.methods.programs.program import Program
from stillhouse.methods.tasks import Task
from stillhouse.workers.local import LocalRunner

COMPUTED = []


@dataclasses.dataclass(frozen=True)
class Total(Program):
    """The sum of shared arrays, times what is its own."""

    unit = "numbers"
    name = "total of a test"

    def check(self, shared, own):
        pass

    def results(self, shared, own):
        return (ArrayType((2,)),)

    def work(self, shared, own):
        return sum(array.shape[0] for array in shared)

    def compute(self, context, shared, own):
        COMPUTED.append(len(shared[0]))
        return (np.full(2, shared[0].sum() * own[0], np.float32),)


@pytest.fixture
def sampled():
    COMPUTED.clear()
    runner = SamplingRunner(LocalRunner(Context()))
    large, small = np.ones(1000, np.float32), np.ones(10, np.float32)
    tasks = [Task(Total(), (x,), (np.float32([i]),)) for i, x in enumerate([large] * 3 + [small])]
    results = list(runner.results(tasks))
    return runner, results, tasks


def test_one_task_of_each_kind_is_computed_and_all_have_results(sampled):
    runner, results, tasks = sampled
    assert COMPUTED == [1000, 10] and len(results) == 4
    assert all(result.shape == (2,) for (result,) in results)
    step = runner.step()
    assert (step.tasks, step.work) == (4, 3010)
    (planned,) = step.passes
    assert [task.blobs for task in planned] == [{"array 0": 4000}] * 3 + [{"array 1": 40}]
    assert {(task.bytes_down, task.bytes_up) for task in planned} == {(4, 8)}
    assert 0 < step.computed < step.seconds
    list(runner.results(tasks[:1]))
    assert len(runner.step().passes) == 2 and COMPUTED == [1000, 10]
    runner.begin()
    list(runner.results(tasks[:1]))
    assert runner.step().tasks == 1 and COMPUTED == [1000, 10, 1000]


def test_many_workers_share_such_a_step(sampled):
    runner, _, tasks = sampled
    (planned,) = runner.step().passes
    # However long each took.
    alike = tuple(dataclasses.replace(task, cost=1.0) for task in planned)
    step = dataclasses.replace(runner.step(), passes=(alike,), seconds=4.0)
    timed = StepCalibration(0.5, step, score=1.0, start=1.0)
    one, four = (plan_fleet(None, timed, workers) for workers in (1, 4))
    assert one.seconds == pytest.approx(4.5, abs=0.1) and four.seconds < 2.5
    # Nothing is common to all: each array once, and four numbers.
    assert one.least_bytes == 4000 + 40 + 4 * 4
    # Three large tasks and a small one: as many are enough, half of them not.
    assert enough_workers(None, timed, plan_fleet(None, timed, 16)) == 4
    assert enough_workers(None, timed, one) == 1
