import dataclasses
import itertools

import numpy as np
import pytest

from stillhouse.data.recipes import StepsRecipe, recipe_from_plain
from stillhouse.methods.algorithm import Interrupted, NonFiniteStepError
from stillhouse.methods.kernel_regression.kip import Kip
from stillhouse.methods.programs import Context
from stillhouse.methods.tasks import SpoiledError, Tally
from stillhouse.server.audit import Audit
from stillhouse.server.checkpoints import CheckpointError, CheckpointStore
from stillhouse.server.distillation import distil
from stillhouse.server.metrics import read_metrics
from stillhouse.server.run_folder import RunFolder
from stillhouse.server.schedule import Schedule
from stillhouse.workers.local import LocalComputer, LocalRunner


@pytest.fixture(params=["kip", "label_solve"])
def algorithm(request, workshop):
    return workshop.kip() if request.param == "kip" else workshop.label_solve()


@pytest.fixture
def schedule(algorithm):
    return Schedule(getattr(algorithm, "steps", 7), checkpoint_every=3, eval_every=2)


def stable(path):
    """The metrics, without what a clock decides."""
    timed = ("seconds", "kernel_elements_per_second")
    lines = read_metrics(path / "metrics.jsonl")
    return [{k: v for k, v in line.items() if k not in timed} for line in lines]


def assert_same(one, other):
    assert one.images.tobytes() == other.images.tobytes()
    assert one.labels.tobytes() == other.labels.tobytes()
    assert (one.scores, one.work) == (other.scores, other.work)


def test_learning_lowers_the_loss_and_scores_are_recorded(workshop, tmp_path):
    seen = []
    schedule = Schedule(20, eval_every=10)
    outcome = workshop.distil(tmp_path, workshop.kip(), schedule, report=seen.append)
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(21))
    assert [line["step"] for line in lines if "test_accuracy" in line] == [0, 10, 20]
    assert lines[20]["loss"] < 0.5 * lines[1]["loss"]
    assert lines[20]["test_accuracy"] == outcome.scores["test_accuracy"] > 0.9
    assert [progress.step for progress in seen] == list(range(21))
    assert outcome.steps == 20


def test_elements_are_those_computed(workshop, tmp_path, algorithm, schedule):
    before = workshop.tally.work.get("kernel elements", 0)
    outcome = workshop.distil(tmp_path, algorithm, schedule)
    assert outcome.work == {"kernel elements": workshop.tally.work["kernel elements"] - before}


class FoundOut:
    """A runner whose fifth results are wrong, which it says in the end."""

    def __init__(self, runner):
        self.runner, self.asked = runner, 0

    def results(self, tasks):
        self.asked += 1
        for results in self.runner.results(tasks):
            yield tuple(x + 1 for x in results) if self.asked == 5 else results
        if self.asked == 5:
            raise SpoiledError("worker w1 handed in wrong bits")


def test_a_step_is_taken_again_where_a_worker_was_found_out(workshop, tmp_path, schedule, caplog):
    whole = workshop.distil(tmp_path / "whole", workshop.kip(), schedule)
    spoiled = dataclasses.replace(workshop, tally=Tally(FoundOut(LocalRunner(Context()))))
    audit = Audit(0.5, set_aside=["worker w1"])
    outcome = spoiled.distil(tmp_path / "run", spoiled.kip(), schedule, audit=audit)
    assert_same(outcome, dataclasses.replace(whole, work=outcome.work))
    assert stable(tmp_path / "run") == stable(tmp_path / "whole")
    assert "is computed again: worker w1 handed in wrong bits" in caplog.text
    meta = CheckpointStore(tmp_path / "run" / "checkpoints").latest().meta
    assert meta["audit"]["set_aside"] == ["worker w1"]


@pytest.mark.parametrize("asked", range(1, 16))
def test_interrupted_anywhere_it_ends_in_the_same_bits(
    workshop, tmp_path, algorithm, schedule, asked
):
    """`should_stop` is asked between steps and between the chunks of an evaluation."""
    whole = workshop.distil(tmp_path / "whole", algorithm, schedule)
    times = itertools.count(1)
    try:
        workshop.distil(
            tmp_path / "run", algorithm, schedule, should_stop=lambda: next(times) == asked
        )
    except Interrupted as error:
        saved = CheckpointStore(tmp_path / "run" / "checkpoints").latest()
        assert error.step == (saved.step if saved else 0)
    else:
        pytest.skip(f"a run asks fewer than {asked} times")
    outcome = workshop.distil(tmp_path / "run", algorithm, schedule)
    assert_same(outcome, whole)
    assert stable(tmp_path / "run") == stable(tmp_path / "whole")


def test_stopped_dead_it_ends_in_the_same_bits(workshop, tmp_path, algorithm, schedule):
    whole = workshop.distil(tmp_path / "whole", algorithm, schedule)

    class Dead(BaseException):
        pass

    def die(progress):
        if progress.step == 5:
            raise Dead  # Without a chance to save: the last checkpoint is that of step 3.

    with pytest.raises(Dead):
        workshop.distil(tmp_path / "run", algorithm, schedule, report=die)
    assert stable(tmp_path / "run")[-1]["step"] == 5
    assert CheckpointStore(tmp_path / "run" / "checkpoints").latest().step == 3
    assert_same(workshop.distil(tmp_path / "run", algorithm, schedule), whole)
    assert stable(tmp_path / "run") == stable(tmp_path / "whole")


def test_with_its_newest_checkpoint_damaged_it_ends_in_the_same_bits(workshop, tmp_path):
    schedule = Schedule(7, checkpoint_every=2)
    whole = workshop.distil(tmp_path, workshop.kip(), schedule)
    for step in (6, 7):
        (tmp_path / "checkpoints" / f"step-{step:06d}.npz").write_bytes(b"PK\3\4 and no more")
    assert_same(workshop.distil(tmp_path, workshop.kip(), schedule), whole)


def test_finished_and_begun_again_it_only_scores(workshop, tmp_path):
    schedule, seen = Schedule(4), []
    whole = workshop.distil(tmp_path, workshop.kip(), schedule)
    again = workshop.distil(tmp_path, workshop.kip(), schedule, report=seen.append)
    assert_same(again, whole)
    assert [progress.step for progress in seen] == [4]


def test_seconds_and_elements_add_up_over_processes(workshop, tmp_path):
    steps = itertools.count()
    with pytest.raises(Interrupted):
        workshop.distil(tmp_path, workshop.kip(), Schedule(4), lambda: next(steps) == 3)
    saved = CheckpointStore(tmp_path / "checkpoints").latest()
    outcome = workshop.distil(tmp_path, workshop.kip(), Schedule(4))
    assert outcome.seconds > saved.meta["seconds"] > 0
    assert outcome.work["kernel elements"] > saved.meta["work"]["kernel elements"] > 0


def test_nan_stops_it_at_the_step_and_leaves_the_last_good_checkpoint(workshop, tmp_path):
    class Overflowing(LocalComputer):
        """Computes kernels that are NaN from the fifth step on."""

        passes = 0

        def forward(self, spec, x_s, x_t):
            K_ss, K_ts = super().forward(spec, x_s, x_t)
            self.passes += 1
            return K_ss, K_ts * (np.nan if self.passes >= 5 else 1)

    algorithm = workshop.kip()
    object.__setattr__(algorithm, "computer", Overflowing())
    with pytest.raises(NonFiniteStepError, match="step 5"):
        workshop.distil(tmp_path, algorithm, Schedule(8, checkpoint_every=2, eval_every=0))
    saved = CheckpointStore(tmp_path / "checkpoints").latest()
    assert saved.step == 4
    assert np.isfinite(saved.arrays["images"]).all()
    assert [line["step"] for line in stable(tmp_path)] == [1, 2, 3, 4]


def test_a_kernel_that_cannot_be_inverted_names_the_step(workshop, tmp_path):
    algorithm = workshop.label_solve()
    object.__setattr__(algorithm, "start", lambda: tuple(a[[0, 0, 0]] for a in workshop.start()))
    object.__setattr__(algorithm, "regularisation", 0.0)
    with pytest.raises(FloatingPointError, match="step 1: .*regularisation"):
        workshop.distil(tmp_path, algorithm, Schedule(algorithm.steps, eval_every=0))


def test_a_checkpoint_of_another_method_is_refused(workshop, tmp_path):
    workshop.distil(tmp_path, workshop.label_solve(), Schedule(3))
    with pytest.raises(CheckpointError, match="not one of this run"):
        workshop.distil(tmp_path, workshop.kip(), Schedule(3))


def test_a_long_step_is_saved_sooner(workshop, tmp_path, monkeypatch):
    monkeypatch.setattr("stillhouse.server.distillation._SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    store = CheckpointStore(tmp_path / "checkpoints")
    saved = []
    schedule = Schedule(3, checkpoint_every=100)
    workshop.distil(
        tmp_path, workshop.kip(), schedule, report=lambda _: saved.append(store.latest().step)
    )
    assert saved == [0, 0, 1, 2]


def test_a_disk_full_at_a_checkpoint_is_a_warning_and_the_run_goes_on(
    workshop, tmp_path, monkeypatch, caplog
):
    folder = RunFolder(tmp_path)
    real = CheckpointStore.save

    def save(self, checkpoint):
        if checkpoint.step == 4:
            raise OSError(28, "No space left on device")
        return real(self, checkpoint)

    monkeypatch.setattr(CheckpointStore, "save", save)
    with folder.opened({}, {}):
        distil(
            workshop.kip(),
            schedule=Schedule(8, checkpoint_every=2),
            tally=workshop.tally,
            folder=folder,
        )
    (line,) = [record.getMessage() for record in caplog.records if "not saved" in record.message]
    assert line == (
        "step 4 is not saved (No space left on device); the run goes on, the last checkpoint is "
        "that of step 2"
    )
    assert CheckpointStore(folder.checkpoints).latest().step == 8


def test_a_disk_full_at_the_last_checkpoint_does_not_lose_the_result(
    workshop, tmp_path, monkeypatch, caplog
):
    whole = workshop.distil(tmp_path / "whole", workshop.kip(), Schedule(8, checkpoint_every=2))
    real = CheckpointStore.save

    def save(self, checkpoint):
        if checkpoint.step > 4:
            raise OSError(28, "No space left on device")
        return real(self, checkpoint)

    monkeypatch.setattr(CheckpointStore, "save", save)
    outcome = workshop.distil(tmp_path / "run", workshop.kip(), Schedule(8, checkpoint_every=2))
    assert_same(outcome, whole)
    assert "step 8 is not saved (No space left on device)" in caplog.text
    assert CheckpointStore(tmp_path / "run" / "checkpoints").latest().step == 4


@pytest.mark.parametrize("at", [3, 7])
@pytest.mark.parametrize("folder_too", [False, True])
def test_checkpoints_deleted_under_a_run_cost_it_nothing(workshop, tmp_path, at, folder_too):
    whole = workshop.distil(tmp_path / "whole", workshop.kip(), Schedule(7, checkpoint_every=2))
    checkpoints = tmp_path / "run" / "checkpoints"

    def delete(progress):
        if progress.step == at:
            for file in checkpoints.iterdir():
                file.unlink()
            if folder_too:
                checkpoints.rmdir()

    outcome = workshop.distil(
        tmp_path / "run", workshop.kip(), Schedule(7, checkpoint_every=2), report=delete
    )
    assert_same(outcome, whole)
    # What it ended with is saved again, so that its pictures and its set can be made anew.
    assert CheckpointStore(checkpoints).latest().step == 7


def test_a_checkpoint_of_the_first_format_is_gone_on_from(workshop, tmp_path):
    whole = workshop.distil(tmp_path / "whole", workshop.kip(), Schedule(6))
    with pytest.raises(Interrupted):
        steps = itertools.count()
        workshop.distil(tmp_path / "run", workshop.kip(), Schedule(6), lambda: next(steps) == 4)
    store = CheckpointStore(tmp_path / "run" / "checkpoints")
    saved = store.latest()
    scores, work = saved.meta["scores"], saved.meta["work"]
    test = {name.removeprefix("test_"): value for name, value in scores.items()}
    old = {"test": test, "kernel_elements": work["kernel elements"], "seconds": 1.0}
    store.save(dataclasses.replace(saved, meta=old))
    assert_same(workshop.distil(tmp_path / "run", workshop.kip(), Schedule(6)), whole)


def test_what_is_learned_of_the_recipe_is_in_checkpoint_and_outcome(workshop, tmp_path):
    class Learns(Kip):
        def recipe(self, state):
            return StepsRecipe({"family": "mlp"}, "any", (0.1 * (1 + state.step),))

    kip = workshop.kip()
    algorithm = Learns(*(getattr(kip, field.name) for field in dataclasses.fields(kip)))
    outcome = workshop.distil(tmp_path, algorithm, Schedule(3))
    assert outcome.recipe.step_sizes == pytest.approx((0.4,))
    saved = CheckpointStore(tmp_path / "checkpoints").latest().meta["recipe"]
    assert recipe_from_plain(saved) == outcome.recipe
    assert workshop.distil(tmp_path / "plain", kip, Schedule(3)).recipe is None
