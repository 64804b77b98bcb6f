import json

import pytest

from stillhouse.launch.calibration import Calibration, calibrate, calibrate_steps
from stillhouse.launch.commands import plan as module
from stillhouse.launch.prepare import prepare
from stillhouse.launch.settings.run import DataConfig, DistillConfig
from stillhouse.methods.kernel_regression.kip_settings import KipSettings


@pytest.mark.parametrize(
    "flags",
    [
        ["--steps=12", "--eval_every=5"],
        ["--steps=5", "--ensemble=fc:1,fc:2", "--eval_every=0", "--ipc=2"],
        ["--method=label_solve", "--target_batch=50", "--eval_every=3"],
    ],
)
def test_it_plans_the_very_elements_that_the_run_will_compute(stillhouse, spots, tmp_path, flags):
    if not any("ensemble" in flag for flag in flags):
        flags = ["--architecture=fc", *flags]
    planned = stillhouse("plan", f"--dataset={spots}", *flags, "--json")
    assert planned.code == 0 and list(tmp_path.iterdir()) == []
    assert stillhouse("distill", f"--dataset={spots}", *flags, "--out=run").code == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    plan = json.loads(planned.out)
    assert plan["kernel_elements"] == result["kernel_elements"]
    assert plan["kernel_elements"] == plan["forward_elements"] + plan["backward_elements"]
    assert plan["seconds"] >= 0 and plan["memory_bytes"] == sum(plan["memory"].values())


def test_it_is_told_in_words(stillhouse, small, tmp_path):
    result = stillhouse("plan", *small)
    assert result.code == 0
    for word in ("kernel elements", "forward", "backward", "memory", "available", "elements/s"):
        assert word in result.out
    assert "kip on spots: 3 images, 12 steps of 100 targets, fc:1 ntk" in result.out
    assert list(tmp_path.iterdir()) == []


def test_it_compares_the_exact_kernel_with_random_features(stillhouse, small):
    told = stillhouse("plan", *small).out
    assert "s by --method=rfad --networks=16" in told and "is less" in told or "are less" in told
    plan = json.loads(stillhouse("plan", *small, "--json").out)
    assert plan["exact_step_seconds"] > 0 and plan["features_step_seconds"] > 0
    for other in (["--method=label_solve", "--target_batch=50"], ["--ensemble=fc:1,fc:2"]):
        flags = [*small[:1], *other]
        assert "rfad" not in stillhouse("plan", *flags).out


def test_steps_through_random_features_are_timed(stillhouse, small):
    flags = (small[0], "--method=rfad", "--architecture=fc", "--networks=2", "--steps=10")
    plan = json.loads(stillhouse("plan", *flags, "--json").out)
    assert plan["passes"] > 0 and plan["backward_elements"] == 0
    assert plan["tasks_per_step"] == 4 and plan["seconds_per_step"] > 0
    assert plan["memory"]["features"] > 0


def test_more_images_than_one_network_has_features_can_be_planned(stillhouse, small):
    flags = (small[0], "--method=label_solve", "--architecture=fc", "--kernel=nngp", "--ipc=20")
    more = ("--approximate=2", "--regularisation=1e-9", "--target_batch=48", "--json")
    done = stillhouse("plan", *flags, *more)
    assert done.code == 0, done.err
    assert json.loads(done.out)["memory"]["features"] == (60 + 48) * 2 * 32 * 4


def test_with_workers_it_plays_a_step(stillhouse, small):
    result = stillhouse("plan", *small, "--workers=4")
    assert result.code == 0
    assert "4 workers        about" in result.out and "busy" in result.out
    assert "x the least possible" in result.out
    plan = json.loads(stillhouse("plan", *small, "--workers=4", "--json").out)
    assert plan["workers"] == 4 and 0 < plan["busy_share"] <= 1 and plan["step_seconds"] > 0
    moved = plan["step_bytes_down"] + plan["step_bytes_up"]
    # Support and targets of 6 x 6 pixels, the latter a byte each.
    assert plan["step_bytes_least"] == (4 * 3 * 4 + 100) * 36
    assert plan["step_bytes_ratio"] == pytest.approx(moved / plan["step_bytes_least"])


def test_it_says_how_many_workers_are_enough(stillhouse, small):
    # More of them than there are kernel elements.
    done = stillhouse("plan", *small, "--workers=4096")
    (line,) = [line for line in done.out.splitlines() if line.startswith("enough  ")]
    assert "of the workers: a step takes hardly longer by them" in line
    plan = json.loads(stillhouse("plan", *small, "--workers=4096", "--json").out)
    assert plan["workers"] == 4096 and 1 <= plan["enough_workers"] <= 128


def test_what_does_not_fit_is_told_with_its_sizes_and_no_time_is_lost(
    stillhouse, small, monkeypatch
):
    monkeypatch.setattr(module, "available_memory", lambda: 10**8)
    monkeypatch.setattr(module, "calibrate", None)  # Would fail.
    result = stillhouse("plan", *small)
    assert result.code == 2
    assert "kernel elements" in result.out
    assert "0.10 GB are available" in result.err and result.err.count("\n") == 1


def test_a_wrong_setting_is_one_line(refused, spots):
    assert "try 3 or 6" in refused(
        "plan", f"--dataset={spots}", "--support_size=4", "--architecture=fc"
    )


@pytest.fixture
def job(spots):
    return prepare(
        DistillConfig(
            data=DataConfig(dataset=str(spots)),
            own=KipSettings("fc", steps=100),
        ),
        for_real=False,
    )


def test_the_time_of_a_run_is_the_sum_of_its_parts(job):
    parts = {"forward": 1e-3, "backward": 1e-2, "image": 1e-1, "batch": 0.25, "ridge": 0.75}
    seconds = Calibration(**parts, start=7.0).seconds(job)
    # Evaluations at 0, 50 and 100, of 48 images.
    elements = 1e-3 * job.cost.forward_elements + 1e-2 * job.cost.backward_elements
    assert seconds == pytest.approx(7.0 + elements + 100 * 1.0 + 3 * 48 * 1e-1)


def test_calibration_measures_every_part(job):
    found = calibrate(job)
    assert 0 < found.forward < 1e-3 and 0 < found.backward < 1e-3
    assert found.image > 0 and found.batch > 0 and found.ridge > 0 and found.start > 0


def test_steps_of_whatever_method_can_be_timed(job):
    found = calibrate_steps(job)
    assert found.step > 0 and found.score > 0 and found.start > 0
    assert 0 < found.batch <= found.alone
    total = found.start + 100 * found.step + 3 * found.score
    assert found.seconds(job) == pytest.approx(total)
