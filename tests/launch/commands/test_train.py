import json

import numpy as np
import pytest

from stillhouse.analysis import baselines, train_config
from stillhouse.data.distilled import load_distilled
from stillhouse.launch.settings import train as settings
from stillhouse.networks import memory

SMALL = ("--network=mlp", "--width=8", "--depth=1", "--steps=40", "--seeds=2")


def read(result):
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_a_set_of_ours_needs_nothing_but_its_file_and_is_compared_with_real_images(
    stillhouse, finished
):
    text = stillhouse("train", finished, *SMALL)
    found = read(stillhouse("train", finished / "distilled.npz", *SMALL, "--json"))
    assert list(found["sets"]) == ["distilled", "random"]
    for name, line in zip(("distilled", "random"), text.out.splitlines(), strict=False):
        one = found["sets"][name]
        assert line.startswith(name) and len(one["test_accuracies"]) == 2
        assert f"{one['test_accuracy']:.4f} +- {one['test_accuracy_std']:.4f}" in line
        assert f"{min(one['learning_rates']):.4g}" in line
    assert "3 images, 48 test images of spots" in text.out
    assert "mlp of width 8, depth 1 (323 parameters), 2 seeds, 40 steps, mse" in text.out
    # What is about to be done is said before.
    plan = "training 4 networks (2 on each of distilled, random real), 40 steps each, 160 in all\n"
    assert text.err.startswith(plan) and found["same_dataset"] is True
    # Where there is no terminal, so is that it goes on, from the first step and not at each.
    first, *others = text.err.splitlines()[1:]
    assert first.startswith("distilled: step 1/160  loss ") and len(others) < 5


def test_the_folder_holds_the_result_with_its_curves_and_a_picture(stillhouse, finished, tmp_path):
    flags = ("--baseline=average,kmeans", "--eval_every=10", "--out=new/trained")
    text = stillhouse("train", finished, *SMALL, *flags)
    assert "new/trained: train.json, train.png" in text.out
    written = json.loads((tmp_path / "new/trained/train.json").read_text())
    assert list(written["sets"]) == ["distilled", "average", "kmeans"]
    curve = written["sets"]["distilled"]["runs"][1]["curve"]
    assert [p["step"] for p in curve if p["test_accuracy"] is not None] == [10, 20, 30, 40]
    assert (tmp_path / "new/trained/train.png").read_bytes().startswith(b"\x89PNG")
    assert written["training"]["steps"] == 40 and written["network"]["width"] == 8


def test_any_set_serves_with_soft_labels_or_hard(stillhouse, finished, spots, tmp_path):
    distilled = load_distilled(finished / "distilled.npz")
    own = read(stillhouse("train", finished, *SMALL, "--json", "--baseline=none"))
    flags = (f"--dataset={spots}", "--transform=standardise", "--baseline=none", "--json")
    np.savez(tmp_path / "soft.npz", images=distilled.images, labels=distilled.labels)
    soft = read(stillhouse("train", "soft.npz", *SMALL, *flags))
    assert soft["sets"] == own["sets"] and soft["same_dataset"] is None
    classes = distilled.labels.argmax(axis=1)
    np.savez(tmp_path / "hard.npz", images=distilled.images, labels=classes)
    hard = read(stillhouse("train", "hard.npz", *SMALL, *flags))
    assert hard["sets"] != own["sets"]
    # Cross entropy sees no more of soft labels than their classes.
    soft, hard = (
        read(stillhouse("train", name, *SMALL, *flags, "--loss=xent"))
        for name in ("soft.npz", "hard.npz")
    )
    assert soft["sets"] == hard["sets"]


def test_a_given_learning_rate_is_taken_as_it_is(stillhouse, finished):
    found = read(stillhouse("train", finished, *SMALL, "--learning_rate=0.05", "--json"))
    assert found["sets"]["distilled"]["learning_rates"] == [0.05, 0.05]


def test_the_images_of_a_step_may_be_changed(stillhouse, finished):
    flags = ("--baseline=none", "--json")
    plain = read(stillhouse("train", finished, *SMALL, *flags))
    changed = read(stillhouse("train", finished, *SMALL, *flags, "--augment=dsa"))
    assert changed["training"]["augment"] == ["dsa"]
    assert changed["sets"] != plain["sets"]
    assert (
        read(stillhouse("train", finished, *SMALL, *flags, "--augment=none"))["sets"]
        == (plain["sets"])
    )


def test_a_network_that_diverges_is_one_line_with_a_way_out(stillhouse, finished, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    result = stillhouse("train", finished, *SMALL, "--learning_rate=1e12", "--out=trained")
    plan, *_, error = result.err.splitlines()
    assert (result.code, result.out) == (1, "") and plan.startswith("training 4 networks")
    assert "at step" in error and "learning rate 1e+12; try a lower one" in result.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--network=lenet5"], "convnet|mlp|lenet|alexcifar|alexnet|vgg11|resnet18"),
        (["--network=convnet"], "6 x 6 pixels are too small for convnet, which halves them 3"),
        (["--network=vgg11", "--depth=4"], "vgg11 has no `depth` to set, got 4"),
        (["--network=mlp", "--norm=batch"], "mlp has no `norm`"),
        (["--baseline=random,best"], "`--baseline` must be none, or some of random, kmeans, av"),
        (["--baseline=none,random"], "`--baseline`"),
        (["--learning_rate=0"], "`--learning_rate` must be a positive number"),
        (
            ["--augment=colour"],
            "some of color, crop, cutout, flip, scale, rotate, each once; did yo",
        ),
        (["--momentum=1"], "`--momentum` must be zero or more, and less than one"),
        (["--dataset=digits"], "digits are 8 x 8 x 1, those of"),
        (["--dataset=nonsense"], "unknown dataset"),
        (["--out=taken/folder"], "taken: not a folder"),
    ],
)
def test_what_does_not_fit_is_one_line(refused, finished, tmp_path, flags, says):
    (tmp_path / "taken").write_text("a file")
    assert says in refused("train", finished, *flags)


def test_a_batch_that_the_device_cannot_hold_is_refused_before_a_step(
    refused, finished, monkeypatch
):
    monkeypatch.setattr(memory, "given_bytes", lambda: 1000)
    said = refused("train", finished, *SMALL)
    assert "a batch of 3 images takes" in said and "use a smaller network" in said


def test_a_foreign_set_is_asked_for_what_it_does_not_say(refused, finished, spots, tmp_path):
    distilled = load_distilled(finished / "distilled.npz")
    np.savez(tmp_path / "kip.npz", images=distilled.images, labels=distilled.labels)
    assert "give --dataset" in refused("train", "kip.npz", *SMALL)
    assert "give --transform" in refused("train", "kip.npz", *SMALL, f"--dataset={spots}")


def test_a_set_without_a_baseline_of_its_size_says_so(
    refused, stillhouse, finished, spots, tmp_path
):
    distilled = load_distilled(finished / "distilled.npz")
    np.savez(tmp_path / "two.npz", images=distilled.images[:2], labels=distilled.labels[:2])
    flags = (f"--dataset={spots}", "--transform=standardise")
    says = refused("train", "two.npz", *SMALL, *flags)
    assert "not a positive multiple of the 3 classes" in says and "--baseline=none" in says
    assert stillhouse("train", "two.npz", *SMALL, *flags, "--baseline=none").code == 0


def test_the_flags_offer_what_there_is_and_have_the_defaults_of_the_library():
    assert settings.BASELINES == baselines.BASELINES
    given = {"network": settings.NetworkOptions().spec, **vars(settings.DescentConfig())}
    assert given.pop("augment") == ()
    assert {**given, "augmentation": None} == vars(train_config.TrainConfig())
