"""FRePo as commands: a run, its evaluation and plan, and what is refused."""

import json

import pytest

from stillhouse.data.distilled import load_distilled

SMALL = (
    *("--method=frepo", "--network=mlp", "--width=8", "--depth=1", "--target_batch=30"),
    *("--nodecay", "--networks=2", "--pool_size=3", "--max_online_updates=2", "--recipe_steps=20"),
)


@pytest.fixture
def data(spots):
    return f"--dataset={spots}"


def test_a_set_is_planned_learned_resumed_and_evaluated_by_its_recipe(stillhouse, data, tmp_path):
    plan = json.loads(stillhouse("plan", data, *SMALL, "--steps=6", "--workers=2", "--json").out)
    assert plan["kernel_elements"] == 0 and plan["step_bytes_down"] > 0
    once = stillhouse("distill", data, *SMALL, "--steps=6", "--out=once")
    assert once.code == 0, once.err
    assert stillhouse("distill", data, *SMALL, "--steps=3", "--out=twice").code == 0
    assert stillhouse("distill", data, *SMALL, "--steps=6", "--out=twice").code == 0
    one, two = (load_distilled(tmp_path / name / "distilled.npz") for name in ("once", "twice"))
    assert one.images.tobytes() == two.images.tobytes()
    assert one.labels.tobytes() == two.labels.tobytes()
    result = json.loads((tmp_path / "once" / "result.json").read_text())
    # Two networks a step: 30 targets and 3 images forward, 3 back, 3 in a step of the network.
    assert result["passes"] == plan["passes"] == 6 * 2 * (11 + 3 + 3) + 20 * 3 + 16
    found = json.loads(stillhouse("evaluate", "once", "--networks=1", "--json").out)
    assert found["recipe"]["kind"] == "training" and found["recipe"]["loss"] == "mse"
    assert found["test_accuracy"] == result["test_accuracy"]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--width=2"], "has 2 features, fewer than the 3 images of the regression"),
        (["--width=4", "--mirror"], "fewer than the 6 images of the regression"),
        (["--pool_size=1"], "`--networks` 2 of a step are drawn from a pool of 1"),
        (["--network=convnet", "--depth=3"], "6 x 6 pixels are too small for convnet"),
        (["--network=convnet", "--norm=batch"], "`--norm` batch makes the features"),
        (["--loss=cross_entropy"], "`--loss` has no meaning for --method=frepo"),
        (["--max_online_updates=0", "--network_rate=1"], "that take no steps; drop it"),
        (["--max_online_updates=-1"], "0 or more, got -1"),
        (["--recipe_augment=colour"], "did you mean color?"),
        (["--width=2000000000", "--pool_size=1000"], "a smaller network"),
        (["--backend=fused"], "`--backend` fused is for kernels"),
    ],
)
def test_what_does_not_fit_is_one_line(refused, data, flags, says):
    assert says in refused("distill", data, *SMALL, "--out=run", *flags)
