"""The matching methods as commands: a run, its evaluation and plan, and what is refused."""

import json

import pytest

SMALL = (
    *("--network=mlp", "--width=8", "--depth=1", "--steps=3", "--augment=crop,color"),
    *("--recipe_steps=20", "--recipe_rate=0.1"),
)


@pytest.fixture
def data(spots):
    return f"--dataset={spots}"


@pytest.mark.parametrize("method", ["dm", "dc", "dsa"])
def test_a_set_is_learned_and_evaluated_by_its_recipe(stillhouse, data, method, tmp_path):
    flags = (f"--method={method}", data, "--target_batch=30", *SMALL)
    run = stillhouse("distill", *flags, "--recipe_networks=2", "--out=run")
    assert run.code == 0, run.err
    result = json.loads((tmp_path / "run/result.json").read_text())
    said = f"test accuracy {result['test_accuracy']:.4f} +- {result['test_accuracy_deviation']:.4f}"
    assert said in run.out and "passes" in run.out
    assert result["steps"] == 3 and result["passes"] > 0
    found = json.loads(stillhouse("evaluate", "run", "--networks=2", "--json").out)
    assert found["recipe"]["kind"] == "training" and found["own_recipe"]
    assert found["test_accuracy"] == result["test_accuracy"]
    # The rate stays as it is, so that the run can be taken further.
    more = stillhouse("distill", *flags, "--recipe_networks=2", "--out=run", "--steps=4")
    assert more.code == 0 and "4 steps" in more.out


def test_a_student_learns_from_a_pool_and_its_rate_is_in_the_card(stillhouse, data, tmp_path):
    network = ("--network=mlp", "--width=8", "--depth=1")
    pool = ("--epochs=3", "--networks=2", "--optimiser=sgd", "--trajectories", "--out=pool")
    assert stillhouse("pretrain", data, *network, *pool).code == 0
    small = tuple(flag for flag in SMALL if not flag.startswith("--recipe_rate"))
    flags = (
        "--method=mtt",
        data,
        *small,
        "--student_steps=2",
        "--max_start=1",
        "--learning_rate=1",
    )
    run = stillhouse("distill", *flags, "--pool=pool", "--out=run")
    assert run.code == 0, run.err
    found = json.loads(stillhouse("evaluate", "run", "--networks=1", "--json").out)
    assert found["recipe"]["learning_rate"] == pytest.approx(0.01, rel=0.5)
    plan = stillhouse("plan", *flags, "--pool=pool", "--workers=3")
    assert plan.code == 0 and "passes" in plan.out and "3 workers" in plan.out


def test_what_a_step_costs_is_planned(stillhouse, data):
    flags = ("--method=dm", data, "--target_batch=30", *SMALL, "--task_images=10", "--json")
    found = json.loads(stillhouse("plan", *flags, "--workers=2").out)
    # Three synthetic images and thirty real ones a step, and a network that is trained and tested.
    assert found["passes"] == 3 * (3 + 10) + 20 * 3 + 16
    assert found["kernel_elements"] == 0 and found["workers"] == 2 and found["step_bytes_down"] > 0


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--method=dm", "--augment=colour"], "did you mean color?"),
        (["--method=dc", "--recipe_augment=rotated"], "did you mean rotate?"),
        (
            ["--method=dm", "--network=convnet", "--norm=batch"],
            "`--norm` batch normalises over a batch",
        ),
        (["--method=dm", "--learn_labels"], "`--learn_labels` has no meaning for --method=dm"),
        (["--method=dm", "--target_batch=3000"], "`--target_batch`: "),
        (["--method=dc", "--target_batch=31"], "must be a multiple of the 3 classes"),
        (["--method=dc", "--optimiser=adam", "--momentum=0.9"], "`--momentum` has no meaning"),
        (["--method=dsa", "--network=convnet"], "6 x 6 pixels are too small for convnet"),
        (["--method=dsa", "--backend=fused"], "`--backend` fused is for kernels"),
        (["--method=mtt"], "needs `--pool`, a folder of experts"),
        (["--method=mtt", "--pool=nowhere"], "nowhere"),
        (["--method=mtt", "--pool=nowhere", "--recipe_rate=1"], "that of the students is learned"),
    ],
)
def test_what_does_not_fit_is_one_line(refused, data, flags, says):
    assert says in refused("distill", data, "--network=mlp", "--out=run", *flags)
