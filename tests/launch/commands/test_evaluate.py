import dataclasses
import json

import numpy as np
import pytest

from stillhouse.data.distilled import load_distilled, save_distilled
from stillhouse.data.recipes import StepsRecipe, TrainingRecipe


def read(result):
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_a_set_of_ours_needs_nothing_but_its_file(stillhouse, finished):
    found = read(stillhouse("evaluate", finished / "distilled.npz", "--json"))
    result = json.loads((finished / "result.json").read_text())
    # The chunks are others than in the run.
    assert found["test_accuracy"] == result["test_accuracy"]
    assert found["test_mse"] == pytest.approx(result["test_mse"], rel=1e-5)
    assert (found["images"], found["test_images"], found["same_dataset"]) == (3, 48, True)
    text = stillhouse("evaluate", finished / "distilled.npz")
    assert f"test accuracy {result['test_accuracy']:.4f}" in text.out
    assert text.err == ""


def test_what_it_scores_can_be_told_otherwise(stillhouse, finished):
    own = read(stillhouse("evaluate", finished, "--json"))
    for flags in (["--kernel=nngp"], ["--architecture=fc", "--depth=3"], ["--regularisation=0.5"]):
        other = read(stillhouse("evaluate", finished, "--json", *flags))
        assert other["test_mse"] != own["test_mse"]
    assert other["regularisation"] == 0.5
    same = read(stillhouse("evaluate", finished, "--json", "--architecture=fc", "--depth=1"))
    assert same["kernel"] == own["kernel"] and same["test_mse"] == own["test_mse"]


def test_a_kernel_may_be_estimated_by_random_features(stillhouse, refused, finished):
    exact = read(stillhouse("evaluate", finished, "--kernel=nngp", "--json"))
    found = read(stillhouse("evaluate", finished, "--kernel=nngp", "--approximate=300", "--json"))
    assert found["approximate"] == 300 and found["test_mse"] != exact["test_mse"]
    assert found["test_mse"] == pytest.approx(exact["test_mse"], rel=0.2)
    text = stillhouse("evaluate", finished, "--kernel=nngp", "--approximate=3")
    assert "nngp by random features of 3 networks" in text.out
    line = refused("evaluate", finished, "--approximate=3")
    assert "this one is the NTK; give --kernel=nngp" in line


def test_other_data_are_told_of(stillhouse, finished, spots, tmp_path):
    with np.load(spots) as archive:
        images = archive["images"][::-1].copy()
        np.savez(tmp_path / "other.npz", images=images, labels=archive["labels"][::-1])
    result = stillhouse("evaluate", finished, "--dataset=other.npz")
    assert result.code == 0 and "other data" in result.err


def test_a_published_set_is_scored_as_its_own_authors_would(stillhouse, finished, spots, tmp_path):
    distilled = load_distilled(finished / "distilled.npz")
    np.savez(tmp_path / "kip.npz", images=distilled.images, labels=distilled.labels)
    flags = (f"--dataset={spots}", "--architecture=fc", "--depth=1", "--transform=standardise")
    found = read(stillhouse("evaluate", "kip.npz", *flags, "--json"))
    own = read(stillhouse("evaluate", finished, "--json"))
    assert found["test_mse"] == pytest.approx(own["test_mse"], rel=1e-6)
    assert found["same_dataset"] is None


@pytest.mark.parametrize(
    ("left_out", "says"),
    [("dataset", "give --dataset"), ("architecture", "give --arch"), ("transform", "give --trans")],
)
def test_what_a_published_set_does_not_say_is_asked_for(
    refused, finished, spots, tmp_path, left_out, says
):
    distilled = load_distilled(finished / "distilled.npz")
    np.savez(tmp_path / "kip.npz", images=distilled.images, labels=distilled.labels)
    flags = {"dataset": spots, "architecture": "fc", "transform": "none"}
    del flags[left_out]
    assert says in refused("evaluate", "kip.npz", *(f"--{k}={v}" for k, v in flags.items()))


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--dataset=digits"], "digits are 8 x 8 x 1, those of"),
        (["--dataset=nonsense"], "unknown dataset"),
        (["--architecture=convnet", "--depth=4"], "too small"),
        (["--depth=2"], "`--depth` needs `--architecture`"),
        (["--kernel=rbf"], "ntk|nngp"),
        (["--regularisation=-1"], "--regularisation"),
    ],
)
def test_what_does_not_fit_is_one_line(refused, finished, flags, says):
    assert says in refused("evaluate", finished, *flags)


def test_another_number_of_classes_is_one_line(refused, finished, tmp_path):
    images = np.arange(3600, dtype=np.float32).reshape(100, 6, 6)
    np.savez(tmp_path / "five.npz", images=images, labels=np.arange(100) % 5)
    assert "has 5 classes, the labels of" in refused("evaluate", finished, "--dataset=five.npz")


def test_a_damaged_set_is_one_line(refused, finished, tmp_path):
    content = (finished / "distilled.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    assert "cut.npz" in refused("evaluate", "cut.npz")


def test_images_that_are_all_alike_give_no_predictions_and_one_line(stillhouse, spots, tmp_path):
    np.savez(tmp_path / "alike.npz", images=np.ones((3, 6, 6, 1)), labels=np.eye(3))
    flags = (f"--dataset={spots}", "--architecture=fc", "--transform=none", "--regularisation=0")
    result = stillhouse("evaluate", "alike.npz", *flags)
    assert result.code == 1 and "not positive definite" in result.err
    assert result.err.count("\n") == 1


def test_what_the_card_states_is_compared_where_it_is_comparable(
    stillhouse, finished, spots, tmp_path
):
    own = read(stillhouse("evaluate", finished, "--json"))
    assert own["stated_test_accuracy"] == own["test_accuracy"]
    assert own["accuracy_difference"] == 0.0 and abs(own["mse_difference"]) < 1e-6
    assert "the set's card says" in stillhouse("evaluate", finished).out
    # Another network, or another ridge, was not stated.
    for flags in (["--kernel=nngp"], ["--regularisation=0.5"], ["--architecture=fc"]):
        other = read(stillhouse("evaluate", finished, "--json", *flags))
        assert other["stated_test_accuracy"] is None and other["mse_difference"] is None
        assert "card says" not in stillhouse("evaluate", finished, *flags).out


@pytest.mark.parametrize(("stated", "says"), [(0.1, "points less than"), (1.0, "points more than")])
def test_a_stated_accuracy_that_is_not_reached_is_told(
    stillhouse, finished, tmp_path, stated, says
):
    distilled = load_distilled(finished / "distilled.npz")
    scores = {"test_accuracy": 0.5, "published_test_accuracy": stated}
    card = dataclasses.replace(distilled.card, scores=scores)
    save_distilled(tmp_path / "a.npz", dataclasses.replace(distilled, card=card))
    found = read(stillhouse("evaluate", "a.npz", "--json"))
    assert found["accuracy_difference"] == found["test_accuracy"] - stated
    assert found["stated_test_mse"] is None
    text = stillhouse("evaluate", "a.npz").out
    points = abs(100 * found["accuracy_difference"])
    assert f"card says {stated:.4f}: {points:.2f} {says}" in text


@pytest.fixture
def for_networks(finished, tmp_path):
    """Give the set of a run with another recipe."""

    def write(recipe):
        distilled = load_distilled(finished / "distilled.npz")
        card = dataclasses.replace(distilled.card, recipe=recipe, kernel={}, scores={})
        save_distilled(tmp_path / "set.npz", dataclasses.replace(distilled, card=card))
        return tmp_path / "set.npz"

    return write


NETWORK = {"family": "mlp", "width": 32, "depth": 1}


def test_a_recipe_of_ordinary_training_is_followed(stillhouse, for_networks):
    file = for_networks(TrainingRecipe(NETWORK, "adam", 1e-2, "cosine", steps=60, batch_size=2))
    found = read(stillhouse("evaluate", file, "--networks=3", "--json"))
    assert len(found["accuracies"]) == 3 and len(set(found["accuracies"])) > 1
    assert found["test_accuracy"] == pytest.approx(np.mean(found["accuracies"]))
    assert found["test_accuracy"] > 0.5
    assert found["recipe"]["kind"] == "training"
    again = read(stillhouse("evaluate", file, "--networks=3", "--json"))
    assert again["accuracies"] == found["accuracies"]
    text = stillhouse("evaluate", file, "--networks=1").out
    assert "of 1 network" in text and "recipe training" in text


def test_a_recipe_of_training_may_augment_and_be_shortened(stillhouse, for_networks):
    recipe = TrainingRecipe(
        NETWORK, learning_rate=0.1, schedule="step", steps=80, augmentation={"kinds": ["crop"]}
    )
    flags = ("--networks=1", "--json")
    whole = read(stillhouse("evaluate", for_networks(recipe), *flags))
    assert whole["own_recipe"] and whole["test_accuracy"] > 0.4
    plain = read(
        stillhouse("evaluate", for_networks(dataclasses.replace(recipe, augmentation=None)), *flags)
    )
    assert plain["test_accuracy"] != whole["test_accuracy"]
    for_networks(recipe)
    short = stillhouse("evaluate", "set.npz", "--networks=1", "--steps=2", "--width=4")
    assert "not the set's own recipe" in short.err
    found = read(stillhouse("evaluate", "set.npz", *flags, "--steps=2", "--width=4"))
    assert not found["own_recipe"]
    assert (found["recipe"]["steps"], found["recipe"]["network"]["width"]) == (2, 4)


def test_a_recipe_of_given_steps_cannot_be_shortened(refused, for_networks):
    steps = StepsRecipe(NETWORK, "any", (0.3,))
    assert "recipe is steps" in refused("evaluate", for_networks(steps), "--steps=5")


def test_a_recipe_of_given_steps_starts_from_what_it_says(stillhouse, for_networks):
    steps = StepsRecipe(NETWORK, "seed", (0.3, 0.2), seed=4, order=((0, 1), (2,)), epochs=20)
    found = read(stillhouse("evaluate", for_networks(steps), "--json"))
    assert len(found["accuracies"]) == 1 and found["test_accuracy"] > 0.5
    anything = dataclasses.replace(steps, initialisation="any", seed=None)
    several = read(stillhouse("evaluate", for_networks(anything), "--json", "--seed=4"))
    assert len(several["accuracies"]) == 5
    assert several["accuracies"][0] == found["test_accuracy"]


def test_krr_can_be_asked_for_all_the_same(stillhouse, for_networks):
    file = for_networks(TrainingRecipe(NETWORK))
    found = read(stillhouse("evaluate", file, "--architecture=fc", "--json"))
    assert "test_mse" in found


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        (
            StepsRecipe(NETWORK, "pool", (0.1,), pool="f00d"),
            "of a pool, which is not here; name it by --pool (its SHA-256 is f00d)",
        ),
        (StepsRecipe(NETWORK, "any", (0.1,), order=((9,),)), "shows image 9 of a set of 3"),
        (TrainingRecipe({"family": "perceptron"}), "perceptron"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_one_line(refused, for_networks, recipe, says):
    assert says in refused("evaluate", for_networks(recipe))
