import json

import numpy as np
import pytest
from PIL import Image

import stillhouse as sh
from stillhouse.data.distilled import load_distilled
from stillhouse.launch import running as module
from stillhouse.methods.kernel_regression.ridge import RidgeStep
from stillhouse.server.run_folder import RunFolder


def test_a_run_leaves_all_that_is_promised(finished):
    assert {path.name for path in finished.iterdir()} == {
        "checkpoints",
        "config.json",
        "curves.png",
        "distilled.npz",
        "distilled.png",
        "log.txt",
        "metrics.jsonl",
        "result.json",
        "tensorboard",
    }
    steps = [path.name for path in sorted((finished / "checkpoints").iterdir())]
    assert steps == ["step-000004.npz", "step-000008.npz", "step-000012.npz"]
    assert len(list((finished / "tensorboard").iterdir())) == 1
    for name in ("distilled.png", "curves.png"):
        with Image.open(finished / name) as picture:
            picture.load()


def test_the_result_is_what_was_learned(finished):
    result = json.loads((finished / "result.json").read_text())
    assert result["test_accuracy"] > 0.9 and result["train_accuracy"] > 0.85
    assert 0 < result["test_mse"] < 0.1
    assert (result["steps"], result["support_size"], result["method"]) == (12, 3, "kip")
    # Six evaluations at 0, 5, 10, 12 on 48 images, 12 steps of 100 both ways, one of them again.
    gram, pairs = 6, 3
    one_step = gram + pairs * 100
    evaluations = 4 * (gram + pairs * 48)
    assert result["kernel_elements"] == 12 * 2 * one_step + evaluations + one_step
    assert result["seconds"] > 0


def test_the_set_carries_what_is_needed_to_use_it(finished, spots):
    distilled = load_distilled(finished / "distilled.npz")
    card = distilled.card
    assert (card.method, card.seed, card.dataset.name) == ("kip", 0, "spots")
    assert card.config["dataset"] == str(spots) and card.config["steps"] == 12
    assert card.kernel["kind"] == "ntk"
    assert card.scores == {
        name: json.loads((finished / "result.json").read_text())[name] for name in card.scores
    }
    assert distilled.transform.kind == "standardise"
    # Learned labels are not one-hot any more, and the images lie about where real ones do.
    assert len(np.unique(distilled.labels)) > 2
    assert -300 < distilled.original_images().min() < distilled.original_images().max() < 500


def test_the_end_says_where_things_are_and_what_to_do_next(stillhouse, small, tmp_path):
    result = stillhouse("distill", *small, "--out=my run")
    assert result.code == 0
    assert "test accuracy" in result.out and "my run/distilled.npz" in result.out
    for command in ("evaluate", "show"):
        assert f"stillhouse {command} 'my run/distilled.npz'" in result.out
    assert "step 12/12" in (tmp_path / "my run" / "log.txt").read_text()


def test_the_end_escapes_the_name_of_the_dataset(stillhouse, spots, tmp_path):
    odd = tmp_path / "\x1b[2J.npz"
    odd.write_bytes(spots.read_bytes())
    result = stillhouse("distill", f"--dataset={odd}", "--architecture=fc", "--steps=1", "--out=a")
    assert result.code == 0 and r"\x1b[2J.npz" in result.out
    assert "\x1b" not in result.out


def test_a_finished_run_begun_again_does_nothing(stillhouse, small, tmp_path):
    assert stillhouse("distill", *small, "--out=run").code == 0
    (tmp_path / "run" / "curves.png").unlink()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.*")}
    again = stillhouse("distill", *small, "--out=run", "--eval_every=2")
    assert again.code == 0 and "nothing to do" in again.out
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (tmp_path / "run" / "curves.png").exists()  # But a picture is drawn again.


def test_a_set_that_a_disk_cut_short_is_written_again(stillhouse, small, tmp_path):
    assert stillhouse("distill", *small, "--out=run").code == 0
    file = tmp_path / "run" / "distilled.npz"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    again = stillhouse("distill", *small, "--out=run")
    assert again.code == 0 and "nothing to do" not in again.out
    with np.load(file) as archive:
        images = archive["images"].tobytes()
    file.write_bytes(whole)
    with np.load(file) as archive:
        assert archive["images"].tobytes() == images


def test_another_run_is_refused_by_what_differs(stillhouse, small, tmp_path, bits):
    assert stillhouse("distill", *small, "--out=run").code == 0
    before = bits(tmp_path / "run")
    other = stillhouse("distill", *small, "--out=run", "--seed=3", "--learning_rate=0.2")
    assert other.code == 2 and other.err.count("\n") == 1
    assert "seed is 0 there and 3 here" in other.err
    assert "learning_rate is 0.1 there and 0.2 here" in other.err
    assert bits(tmp_path / "run") == before


def test_the_same_command_gives_the_same_bits(stillhouse, small, tmp_path, bits):
    for name, threads in (("a", 1), ("b", 2)):
        assert stillhouse("distill", *small, f"--out={name}", f"--threads={threads}").code == 0
    assert bits(tmp_path / "a") == bits(tmp_path / "b")
    a, b = ((tmp_path / name / "distilled.npz").read_bytes() for name in "ab")
    assert a == b


@pytest.mark.parametrize(
    "flags",
    [
        ["--nolearn_labels"],
        ["--kernel=nngp", "--transform=zca"],
        ["--transform=none", "--init=noise", "--support_size=6"],
        ["--init=kmeans", "--augment", "--noflip"],
        ["--regularisation=0.001", "--W_std=1.2", "--b_std=0", "--seed=5"],
        ["--eval_every=0", "--target_batch=100"],
    ],
)
def test_every_setting_runs_and_learns(stillhouse, small, tmp_path, flags):
    assert stillhouse("distill", *small, "--steps=30", "--out=run", *flags).code == 0
    lines = [
        json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < losses[0]
    distilled = load_distilled(tmp_path / "run" / "distilled.npz")
    if "--nolearn_labels" in flags:
        assert len(np.unique(distilled.labels)) == 2
    if "--eval_every=0" in flags:
        assert ["test_accuracy" in line for line in lines] == [False] * 29 + [True]


def test_label_solve_learns_labels_and_leaves_the_images(stillhouse, spots, tmp_path):
    flags = (f"--dataset={spots}", "--architecture=fc", "--method=label_solve", "--ipc=4")
    result = stillhouse("distill", *flags, "--target_batch=60", "--out=run", "--eval_every=1")
    assert result.code == 0
    lines = [
        json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    assert [line["step"] for line in lines] == [0, 1, 2, 3, 4]  # 192 images
    assert lines[-1]["test_mse"] < lines[0]["test_mse"]
    raw = load_distilled(tmp_path / "run" / "distilled.npz").original_images()
    with np.load(spots) as archive:
        real = archive["images"].astype(np.float32)
    for image in raw[..., 0]:
        assert np.abs(real - image).max(axis=(1, 2)).min() < 0.01


def test_an_ensemble_is_scored_by_each_of_its_kernels(stillhouse, spots, tmp_path):
    flags = (f"--dataset={spots}", "--ensemble=fc:2,fc:1", "--steps=8", "--out=run")
    assert stillhouse("distill", *flags).code == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert list(result["test_by_kernel"]) == ["fc:2", "fc:1"]
    assert result["test_by_kernel"]["fc:2"]["mse"] == result["test_mse"]
    assert result["test_by_kernel"]["fc:1"]["mse"] != result["test_mse"]


@pytest.fixture
def nan_from_the_sixth_step(monkeypatch):
    from stillhouse.methods.kernel_regression import support_set

    real, passes = support_set.krr_step, []

    def krr_step(*arguments, **options):
        passes.append(1)
        step = real(*arguments, **options)
        if len(passes) < 6:
            return step
        return RidgeStep(float("nan"), step.accuracy, step.g_ss, step.g_ts, step.g_labels)

    monkeypatch.setattr(support_set, "krr_step", krr_step)


def test_nan_stops_the_run_and_says_what_to_try(
    stillhouse, small, tmp_path, nan_from_the_sixth_step
):
    result = stillhouse("distill", *small, "--out=run")
    assert (result.code, result.out) == (1, "")
    (line,) = [line for line in result.err.splitlines() if "error" in line]
    assert "step 6" in line and "learning_rate" in line and "another --out" in line
    assert "the checkpoint of step 4 is in run/checkpoints" in line
    assert not (tmp_path / "run" / "result.json").exists()
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())[-1] == (
        "step-000004.npz"
    )


@pytest.mark.parametrize("backend", ["auto", "xla"])
def test_a_learning_rate_that_is_far_too_high_ends_in_one_line(stillhouse, small, backend):
    result = stillhouse(
        "distill", *small, "--learning_rate=1e30", f"--backend={backend}", "--out=run"
    )
    assert result.code == 1
    (line,) = [line for line in result.err.splitlines() if "error" in line]
    assert "error: step " in line and "lower `learning_rate` (now 1e+30)" in line
    assert "the checkpoint of step 0" in line and "another --out" in line


def test_a_disk_that_fills_up_is_one_line_and_the_run_can_go_on(
    stillhouse, small, tmp_path, monkeypatch, bits
):
    assert stillhouse("distill", *small, "--out=whole").code == 0
    real = module.finish

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "finish", full)
    result = stillhouse("distill", *small, "--out=run")
    assert result.code == 1
    (line,) = [line for line in result.err.splitlines() if "error" in line]
    assert "No space left on device; the checkpoint of step 12" in line and "goes on" in line
    monkeypatch.setattr(module, "finish", real)
    assert stillhouse("distill", *small, "--out=run").code == 0
    assert bits(tmp_path / "run") == bits(tmp_path / "whole")


def test_a_folder_in_use_is_refused(stillhouse, small, tmp_path):
    assert stillhouse("distill", *small, "--out=run").code == 0
    (tmp_path / "run" / "result.json").unlink()
    folder = RunFolder(tmp_path / "run")
    identity = json.loads(folder.config.read_text())["identity"]
    with folder.opened(identity, {}):
        result = stillhouse("distill", *small, "--out=run")
    assert result.code == 2 and "another process is running in" in result.err


def test_a_finished_run_taken_further_ends_in_the_bits_of_one_run_at_once(
    stillhouse, spots, tmp_path, bits
):
    data = (f"--dataset={spots}", "--architecture=fc", "--eval_every=0", "--seed=3")
    flags = (*data, "--nodecay")
    assert stillhouse("distill", *flags, "--steps=5", "--out=once").code == 0
    again = stillhouse("distill", *flags, "--steps=11", "--out=once")
    assert again.code == 0 and "nothing to do" not in again.out
    assert stillhouse("distill", *flags, "--steps=11", "--out=straight").code == 0
    # All but the score that the shorter run had at its end.
    assert bits(tmp_path / "once")[0] == bits(tmp_path / "straight")[0]
    assert json.loads((tmp_path / "once" / "result.json").read_text())["steps"] == 11
    # Shorter is another run; and where the rate decays, so is longer.
    assert (
        "steps is 11 there and 7 here"
        in stillhouse("distill", *flags, "--steps=7", "--out=once").err
    )
    assert stillhouse("distill", *data, "--steps=5", "--out=decay").code == 0
    longer = stillhouse("distill", *data, "--steps=7", "--out=decay")
    assert longer.code == 2 and "steps is 5 there and 7 here" in longer.err


def test_an_unfinished_run_can_be_looked_at(stillhouse, spots, tmp_path, monkeypatch):
    flags = (f"--dataset={spots}", "--architecture=fc", "--checkpoint_every=2", "--eval_every=0")

    def stop(self):
        return RunFolder(tmp_path / "run").checkpoints.joinpath("step-000004.npz").exists()

    monkeypatch.setattr(module.StopSignals, "asked", stop)
    assert stillhouse("distill", *flags, "--steps=50", "--out=run").code != 0
    looks = (("evaluate", "--json"), ("show", "--out=a.png"), ("report", "--kernels=own"))
    for command, flag in looks:
        done = stillhouse(command, "run", flag)
        assert done.code == 0, done.err
        assert "run is not finished; this is its checkpoint of step" in done.err
    trained = stillhouse("train", "run", "--network=mlp", "--width=4", "--depth=1", "--steps=2")
    assert trained.code == 0 and "run is not finished" in trained.err
    done = stillhouse("publish", "run", "--to=release")
    assert done.code == 2 and "run is a run without a distilled.npz, which comes" in done.err
    assert json.loads(stillhouse("evaluate", "run", "--json").out)["same_dataset"] is True
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert stillhouse("distill", *flags, "--steps=50", "--out=run").code == 0
    assert "not finished" not in stillhouse("show", "run").err
    assert not (tmp_path / "run" / "begun.npz").exists()


def test_a_run_that_ends_worse_than_it_began_says_so(stillhouse, spots):
    worse = (f"--dataset={spots}", "--architecture=fc", "--steps=3", "--learning_rate=30")
    assert "note: it ended worse than it began" in stillhouse("distill", *worse, "--out=a").err
    # Where it was not scored in the beginning, its losses say it.
    error = stillhouse("distill", *worse, "--eval_every=0", "--out=c").err
    assert "note: it ended worse than it began: loss 0." in error
    assert "worse" not in stillhouse("distill", *worse[:2], "--steps=12", "--out=b").err


@pytest.mark.parametrize("share", ["1", "-0.1", "nan", "half"])
def test_a_share_of_noise_that_is_none_is_one_line(refused, spots, share):
    settings = ["--architecture=fc", f"--corruption={share}"]
    assert "`--corruption` must be a" in refused("distill", f"--dataset={spots}", *settings)


def test_the_best_images_are_kept_by_training_images_that_are_held_out(
    stillhouse, spots, tmp_path, bits
):
    flags = (f"--dataset={spots}", "--architecture=fc", "--learning_rate=10", "--seed=2")
    flags += ("--steps=9", "--eval_every=2", "--keep=best")
    assert stillhouse("distill", *flags, "--out=best").code == 0
    result = json.loads((tmp_path / "best" / "result.json").read_text())
    metrics = (tmp_path / "best" / "metrics.jsonl").read_text()
    records = [json.loads(line) for line in metrics.splitlines()]
    judged = {r["step"]: r["held_out_accuracy"] for r in records if "held_out_accuracy" in r}
    assert sorted(judged) == [2, 4, 6, 8, 9]
    assert result["held_out_accuracy"] >= max(judged.values())
    assert result["kept_step"] in {0, *judged}
    # Stopped and begun again it ends in the same bits.
    for path in (tmp_path / "best" / "checkpoints").iterdir():
        if path.name != "step-000000.npz":
            path.unlink()
    (tmp_path / "best" / "result.json").unlink()
    before = sh.load(tmp_path / "best" / "distilled.npz").images.tobytes()
    assert stillhouse("distill", *flags, "--out=best").code == 0
    assert sh.load(tmp_path / "best").images.tobytes() == before
    assert (
        "has no meaning for --method=label_solve"
        in stillhouse("distill", f"--dataset={spots}", "--method=label_solve", "--keep=best").err
    )


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--redraw=0"], "`--redraw` must be a whole number, 1 or more, got 0"),
        (["--networks=1", "--width=1", "--ipc=20"], "60 support images"),
        (["--widths=8,8"], "this network has 1, got 2: 8,8"),
        (["--widths=8,"], "`--widths` must be whole numbers from 1 on"),
        (["--corruption=1"], "`--corruption` must be a share from 0 to below 1"),
        (["--corruption=0.5", "--coordinates=dct"], "use --coordinates=pixel"),
        (["--cached_groups=2", "--loaders=1", "--engine=launchpad"], "give one"),
        (["--networks=100000", "--cached_groups=1000"], "fewer or narrower networks"),
        (["--architecture=convnet"], "images of 6 x 6 pixels are too small"),
    ],
)
def test_what_random_features_cannot_do_is_one_line(refused, spots, flags, says):
    settings = ["--architecture=fc", *flags]
    assert says in refused("distill", f"--dataset={spots}", "--method=rfad", *settings)


def test_a_run_of_random_features_is_planned_resumed_and_scored(stillhouse, spots, bits, tmp_path):
    flags = (f"--dataset={spots}", "--method=rfad", "--architecture=fc", "--networks=3")
    flags += ("--nodecay", "--target_batch=96", "--eval_every=0", "--flip", "--widths=40")
    plan = json.loads(stillhouse("plan", *flags, "--steps=6", "--json").out)
    assert stillhouse("distill", *flags, "--steps=6", "--out=once").code == 0
    assert stillhouse("distill", *flags, "--steps=2", "--out=twice").code == 0
    assert stillhouse("distill", *flags, "--steps=6", "--out=twice").code == 0
    once, twice = (load_distilled(tmp_path / name / "distilled.npz") for name in ("once", "twice"))
    assert once.images.tobytes() == twice.images.tobytes()
    assert once.labels.tobytes() == twice.labels.tobytes()
    result = json.loads((tmp_path / "once" / "result.json").read_text())
    assert (result["passes"], result["kernel_elements"]) == (
        *(plan["passes"], plan["kernel_elements"]),
    )
    assert once.card.scores["softmax_scale"] > 0
    assert once.card.recipe.kernel.kind == "nngp"


def test_labels_may_be_solved_for_by_random_features(stillhouse, refused, spots, tmp_path):
    flags = (f"--dataset={spots}", "--method=label_solve", "--architecture=fc", "--ipc=2")
    flags += ("--target_batch=48",)
    assert stillhouse("distill", *flags, "--kernel=nngp", "--out=exact").code == 0
    more = ("--kernel=nngp", "--approximate=100")
    plan = json.loads(stillhouse("plan", *flags, *more, "--json").out)
    assert stillhouse("distill", *flags, *more, "--out=features").code == 0
    exact, found = (
        json.loads((tmp_path / name / "result.json").read_text()) for name in ("exact", "features")
    )
    assert found["test_accuracy"] >= exact["test_accuracy"] - 0.1
    assert found["passes"] == plan["passes"]
    assert found["kernel_elements"] == plan["kernel_elements"] < exact["kernel_elements"]
    assert "give --kernel=nngp" in refused("distill", *flags, "--approximate=9", "--out=other")
