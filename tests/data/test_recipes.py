import dataclasses
import json

import pytest

from stillhouse.data.card import Card, DatasetInfo
from stillhouse.data.recipes import (
    KrrRecipe,
    StepsRecipe,
    TrainingRecipe,
    recipe_from_plain,
    recipe_to_plain,
)
from stillhouse.kernels.architecture import convnet, fc
from stillhouse.kernels.spec import KernelSpec

NETWORK = {"family": "lenet"}
KRR = KrrRecipe(KernelSpec(convnet(3), "nngp"), 1e-4)
STEPS = StepsRecipe(NETWORK, "seed", (0.02, 0.01), seed=7, order=((0, 1), (2, 3)), epochs=3)
TRAINING = TrainingRecipe(NETWORK, "adam", 1e-3, "cosine", 32, 500, {"flip": True}, 1e-4, "mse")
INFO = DatasetInfo("x", "0", ("a", "b"), (8, 8, 1), (0.0, 1.0))


@pytest.mark.parametrize(
    "recipe",
    [
        *(KRR, STEPS, TRAINING, TrainingRecipe(NETWORK)),
        StepsRecipe(NETWORK, "pool", (0.1,), pool="f00", held_out=2, attack=(1, 0)),
        StepsRecipe(NETWORK, "file", (0.1,), weights="f00", labels="soft"),
    ],
)
def test_a_recipe_goes_through_json_and_a_card(recipe):
    entries = json.loads(json.dumps(recipe_to_plain(recipe)))
    assert entries["kind"] == recipe.kind
    assert recipe_from_plain(entries) == recipe
    card = Card("a", {}, {}, 0, INFO, recipe=recipe)
    read = Card.from_json(card.to_json())
    assert read == card and read.usage() == recipe


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "a recipe must be a JSON object with a kind"),
        ({}, "a recipe must be a JSON object with a kind"),
        ({"kind": "prayer"}, "no recipe of kind 'prayer' is known here, only krr, steps, training"),
        ({"kind": "krr"}, "KrrRecipe lacks 'kernel'"),
        ({"kind": "training", "network": NETWORK, "speed": 1}, "TrainingRecipe has no 'speed'"),
        ({"kind": "training", "network": {}}, "`network` of a recipe of kind training must be"),
        ({"kind": "training", "network": NETWORK, "optimiser": "lion"}, "one of sgd, momentum, "),
        ({"kind": "training", "network": NETWORK, "steps": 0}, "`steps` .* must be 1 or more"),
        ({"kind": "training", "network": NETWORK, "l2": -1}, "`l2` .* must be zero or positive"),
        ({"kind": "training", "network": NETWORK, "learning_rate": 0}, "`learning_rate` .* posit"),
    ],
)
def test_what_is_no_recipe_is_refused(entries, message):
    with pytest.raises(ValueError, match=message):
        recipe_from_plain(entries)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"initialisation": "magic"}, "`initialisation` .* one of seed, any, pool"),
        ({"step_sizes": ()}, "`step_sizes`"),
        ({"seed": None}, "`seed` .* must be there for the initialisation 'seed'"),
        ({"initialisation": "any"}, "`seed`"),
        ({"pool": "f00"}, "`pool`"),
        ({"order": ((0,),)}, "`order` .* as many steps as step sizes"),
        ({"order": ((0,), (-1,))}, "`order`"),
        ({"epochs": 0}, "`epochs`"),
        ({"loss": "huber"}, "`loss`"),
    ],
)
def test_steps_whose_parts_do_not_belong_together_are_refused(change, message):
    settings = {"network": NETWORK, "initialisation": "seed", "step_sizes": (0.1, 0.2), "seed": 1}
    with pytest.raises(ValueError, match=message):
        StepsRecipe(**(settings | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": "hard"}, "`labels` .* one of classes, soft"),
        ({"held_out": 2}, "`held_out` .* with a pool"),
        ({"weights": "f00"}, "`weights` .* for the initialisation 'file'"),
        ({"attack": (1, 1)}, "`attack` .* two classes"),
        ({"order": ((0,), (1,)), "step_sizes": (0.1,) * 3, "epochs": 2}, "as many steps as step"),
    ],
)
def test_what_belongs_to_other_starts_and_ends_is_refused(change, message):
    settings = {"network": NETWORK, "initialisation": "seed", "step_sizes": (0.1, 0.2), "seed": 1}
    with pytest.raises(ValueError, match=message):
        StepsRecipe(**(settings | change))


def test_steps_have_sizes_of_one_epoch_or_of_all():
    assert STEPS.rates == (0.02, 0.01) * 3 and STEPS.rows(4) == ((0, 1), (2, 3)) * 3
    own = dataclasses.replace(STEPS, step_sizes=tuple(0.1 * i for i in range(1, 7)))
    assert own.rates == own.step_sizes and own.rows(4) == STEPS.rows(4)
    whole = StepsRecipe(NETWORK, "any", (0.1, 0.2), epochs=2)
    assert whole.rates == (0.1, 0.2) * 2 and whole.rows(3) == ((0, 1, 2),) * 4
    with pytest.raises(ValueError, match="shows image 3 of a set of 3"):
        STEPS.rows(3)


def test_a_card_of_before_means_krr_with_its_kernel():
    spec = KernelSpec(fc(2))
    old = json.loads(Card("kip", json.loads(spec.to_json()), {}, 0, INFO).to_json())
    del old["recipe"]
    old["format_version"] = 1
    assert Card.from_json(json.dumps(old)).usage() == KrrRecipe(spec)
    old["config"] = {"regularisation": 1e-3}
    assert Card.from_json(json.dumps(old)).usage() == KrrRecipe(spec, 1e-3)


def test_a_card_that_says_nothing_of_use_says_so():
    with pytest.raises(ValueError, match="neither how it is meant to be used"):
        Card("kip", {}, {}, 0, INFO).usage()
