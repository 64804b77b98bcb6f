"""Distillation through gradient steps by the commands: what they make, and what they refuse."""

import json

import numpy as np
import pytest

import stillhouse as sh
from stillhouse.launch import devices
from stillhouse.launch.commands import pretrain
from stillhouse.launch.main import main

METHOD = ("--method=dd", "--network=mlp", "--width=8", "--distill_steps=2", "--distill_epochs=2")
RUN = (*METHOD, "--steps=12", "--step_size=0.1", "--eval_every=6", "--target_batch=60")
POOL = ("--network=mlp", "--width=8", "--epochs=1", "--batch_size=48", "--networks=5")


@pytest.fixture(autouse=True, scope="module")
def threads():
    """Leave the threads of this process as they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "use_threads", lambda threads: None)
        patch.setattr(pretrain, "use_threads", lambda threads: None)
        yield


@pytest.fixture(scope="module")
def made(spots, tmp_path_factory):
    """A finished run from random weights."""
    folder = tmp_path_factory.mktemp("made") / "dd"
    assert main(["distill", f"--dataset={spots}", *RUN, f"--out={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def pool(spots, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pools") / "mlp"
    assert main(["pretrain", f"--dataset={spots}", *POOL, f"--out={folder}"]) == 0
    return folder


def read(result):
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_a_set_carries_its_steps_and_is_evaluated_by_them(stillhouse, made):
    recipe = sh.load_distilled(made / "distilled.npz").card.usage()
    assert recipe.kind == "steps" and recipe.initialisation == "any"
    assert len(recipe.rates) == 4 and len(recipe.order) == 2 and recipe.epochs == 2
    result = json.loads((made / "result.json").read_text())
    assert tuple(result["step_sizes"]) == recipe.step_sizes
    # The same five networks by which the run was scored.
    found = read(stillhouse("evaluate", made, "--json"))
    assert found["test_accuracy"] == pytest.approx(result["test_accuracy"])
    many = stillhouse("evaluate", made, "--networks=7")
    assert many.code == 0 and "of 7 networks" in many.out and "recipe steps" in many.out


def test_the_passes_that_were_planned_are_computed(stillhouse, made, spots):
    plan = read(stillhouse("plan", f"--dataset={spots}", *RUN, "--workers=2", "--json"))
    result = json.loads((made / "result.json").read_text())
    assert plan["passes"] == result["passes"] == 12 * (3 * 3 * 4 + 60)
    assert plan["tasks_per_step"] == 1 and plan["workers"] == 2
    assert plan["seconds"] > 0 and "weights of the steps" in plan["memory"]


def test_python_scores_it_by_networks_too(made, spots):
    distilled, dataset = sh.load(made), sh.load_dataset(str(spots))
    card = json.loads((made / "result.json").read_text())
    found = sh.evaluate(distilled, dataset)
    assert found.accuracy == pytest.approx(card["test_accuracy"]) and len(found.each) == 5
    pair = distilled.evaluate(dataset.x_test, dataset.y_test, networks=5)
    assert pair.accuracy == found.accuracy and pair.deviation == found.deviation > 0
    assert sh.evaluate(distilled, dataset, architecture="fc").mse > 0
    with pytest.raises(ValueError, match="`pool` has no meaning for this set"):
        sh.evaluate(distilled, dataset, pool="anything")


def test_it_is_shown_and_reported_step_by_step(stillhouse, made, tmp_path):
    assert stillhouse("show", made, "--out=steps.png").code == 0
    assert (tmp_path / "steps.png").read_bytes() == (made / "distilled.png").read_bytes()
    report = stillhouse("report", made, "--out=page.html", "--kernels=fc:1")
    assert report.code == 0, report.err
    page = (tmp_path / "page.html").read_text()
    assert "2 steps, gone through 2 times" in page and "Sizes of 4 steps" in page
    assert "4 gradient steps from any random weights" in page and "own kernel" not in page
    assert (tmp_path / "page-step-sizes.png").exists()


def test_it_travels_without_a_kernel(stillhouse, made, spots, tmp_path):
    published = stillhouse("publish", made, "--to=release", "--hub=hub")
    assert published.code == 0, published.err
    (readme,) = (tmp_path / "release").rglob("README.md")
    text = readme.read_text()
    assert "mlp-2-8" in text and "4 given gradient steps on these images from any random" in text
    assert stillhouse("fetch", "release", "--architecture=mlp-2-8", "--out=got.npz").code == 0
    there = read(stillhouse("evaluate", "got.npz", f"--dataset={spots}", "--json"))
    assert there["accuracies"] == read(stillhouse("evaluate", made, "--json"))["accuracies"]


def test_it_goes_on_where_it_was_and_python_gives_the_same_bits(stillhouse, spots, tmp_path):
    flags = [flag for flag in RUN if not flag.startswith("--steps")]
    for steps in (7, 12):  # Without decay a shorter run is the beginning of a longer one.
        command = ("distill", f"--dataset={spots}", *flags, "--nodecay", f"--steps={steps}")
        assert stillhouse(*command, "--out=run").code == 0
    settings = {
        **{"network": "mlp", "width": 8, "distill_steps": 2, "distill_epochs": 2, "steps": 12},
        **{"step_size": 0.1, "target_batch": 60, "decay": False},
    }
    once = sh.distill(sh.load_dataset(str(spots)), method="dd", **settings)
    resumed = sh.load_distilled(tmp_path / "run" / "distilled.npz")
    assert once.images.tobytes() == resumed.images.tobytes()
    assert once.card.recipe == resumed.card.recipe


def test_it_may_start_from_a_set_that_was_distilled(stillhouse, made, spots, tmp_path):
    flags = [flag for flag in RUN if not flag.startswith("--steps")]
    file = made / "distilled.npz"
    again = stillhouse(
        "distill", f"--dataset={spots}", *flags, "--steps=1", f"--init={file}", "--out=again"
    )
    assert again.code == 0, again.err
    first, second = sh.load(file), sh.load(tmp_path / "again")
    assert 0 < np.abs(first.images - second.images).max() < 0.1


def test_a_pool_is_started_from_and_must_be_the_one_that_is_named(
    stillhouse, refused, spots, pool, tmp_path
):
    flags = (f"--dataset={spots}", *RUN, f"--initialisation=pool:{pool}", "--held_out=2")
    assert stillhouse("distill", *flags, "--networks=2", "--out=tuned").code == 0
    found = read(stillhouse("evaluate", "tuned", "--json"))
    assert len(found["accuracies"]) == 2 and "test_accuracy_before" in found
    told = stillhouse("evaluate", "tuned", f"--pool={pool}").out
    assert stillhouse("publish", "tuned", "--to=release").code == 0
    (file,) = (tmp_path / "release").rglob("*.npz")
    assert sh.load(file).card.config["initialisation"] == "pool"
    assert "before the steps" in told and "after them" in told
    assert main(["pretrain", f"--dataset={spots}", *POOL, "--seed=9", "--out=other"]) == 0
    assert "is another pool than the recipe names" in refused("evaluate", "tuned", "--pool=other")
    set_alone = sh.load_distilled(tmp_path / "tuned" / "distilled.npz")
    card = set_alone.card
    card.config["initialisation"] = "pool:gone"
    sh.DistilledSet(set_alone.images, set_alone.labels, set_alone.transform, card).save("x.npz")
    line = refused("evaluate", "x.npz", f"--dataset={spots}")
    assert "name it by --pool (its SHA-256 is" in line


def test_one_file_of_weights_is_started_from(stillhouse, refused, spots, pool, made):
    file = pool / "network-0000.npz"
    flags = (f"--dataset={spots}", *RUN, f"--initialisation=file:{file}")
    assert stillhouse("distill", *flags, "--out=tuned").code == 0
    found = read(stillhouse("evaluate", "tuned", "--json"))
    assert len(found["accuracies"]) == 1
    assert found["test_accuracy_before"] == pytest.approx(
        json.loads((pool / "pool.json").read_text())["members"][0]["test_accuracy"]
    )
    other = pool / "network-0001.npz"
    assert "which is another one" in refused("evaluate", "tuned", f"--weights={other}")
    assert "whose recipe names none" in refused("evaluate", made, f"--weights={other}")


def test_an_attack_is_evaluated_as_such(stillhouse, spots):
    flags = ("--objective=misclassify", "--attack_class=0", "--target_class=2")
    assert stillhouse("distill", f"--dataset={spots}", *RUN, *flags, "--out=attack").code == 0
    found = read(stillhouse("evaluate", "attack", "--json"))
    assert 0 <= found["attacked_as_target"] <= 1 and "other_accuracy_before" in found
    told = stillhouse("evaluate", "attack").out
    assert "taken for target" in told and "other classes" in told


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--network=lenet", "--width=8"], "lenet has no `width` to set"),
        (["--attack_class=0", "--target_class=1"], "need `--objective=misclassify`"),
        (["--initialisation=pool:nowhere"], "nowhere"),
        (["--architecture=fc"], "`--architecture` has no meaning for --method=dd"),
        (["--support_size=9"], "do not make 9 images; try 6 or 12"),
        (["--backend=fused"], "`--backend` fused is for kernels"),
    ],
)
def test_bad_input_is_one_line(refused, spots, flags, says):
    assert says in refused("distill", f"--dataset={spots}", *RUN, *flags)


def test_a_pool_of_another_network_or_transform_is_one_line(refused, spots, pool):
    flags = ("distill", f"--dataset={spots}", *RUN, f"--initialisation=pool:{pool}")
    assert "the network of the pool" in refused(*flags, "--width=9")
    assert "the transform of the pool" in refused(*flags, "--transform=none")
    assert "`--held_out` 5 leaves none of the 5 networks" in refused(*flags, "--held_out=5")


def test_what_memory_cannot_hold_is_refused_by_name(stillhouse, spots, monkeypatch):
    from stillhouse.launch import prepare

    monkeypatch.setattr(prepare, "available_memory", lambda: 10**6)
    result = stillhouse("distill", f"--dataset={spots}", *RUN)
    assert result.code == 2 and "the run needs about" in result.err


def test_steps_that_leave_float32_stop_the_run_and_keep_its_checkpoint(stillhouse, spots):
    with np.errstate(all="ignore"):
        result = stillhouse(
            "distill", f"--dataset={spots}", *RUN, "--step_rate=9", "--nodecay",
            "--checkpoint_every=1", "--clip=0", "--learning_rate=1e-9", "--steps=90", "--out=run",
        )  # fmt: skip
    assert result.code == 1 and "step " in result.err
    assert "the checkpoint of step" in result.err and result.err.count("\n") <= 3
