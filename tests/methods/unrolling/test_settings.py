import re

import numpy as np
import pytest

from stillhouse.data.dataset import dataset_from_arrays
from stillhouse.data.recipes import StepsRecipe
from stillhouse.methods.costs import RunSizes
from stillhouse.methods.programs import Context
from stillhouse.methods.registry import METHODS
from stillhouse.methods.unrolling.initialisation import drawn_members, drawn_seeds
from stillhouse.methods.unrolling.settings import UnrollSettings

ATTACK = {"objective": "misclassify", "attack_class": "0", "target_class": "1"}


def settings(**changes):
    return UnrollSettings(**{"network": "mlp", "width": 4, **changes})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"initialisation": "pool"}, "pool:FOLDER or file:WEIGHTS, got 'pool'"),
        ({"initialisation": "zeros"}, "must be fixed, random, pool:FOLDER"),
        ({"network": "convnet", "norm": "batch"}, "`--norm` batch keeps averages"),
        ({"truncate": 31}, "more than the 30 steps there are"),
        ({"objective": "misclassify"}, "needs `--attack_class` and `--target_class`"),
        ({"attack_class": "0", "target_class": "1"}, "need `--objective=misclassify`"),
        ({**ATTACK, "target_class": "0"}, "must differ, got '0' for both"),
        ({"step_size": 0.0}, "`--step_size` must be a positive number"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        settings(**changes)


@pytest.mark.parametrize(
    ("changes", "given", "says"),
    [
        ({"initialisation": "fixed"}, "networks", "no meaning with one fixed initialisation"),
        ({}, "held_out", "for --initialisation=pool:FOLDER"),
        ({}, "label_rate", "without --learn_labels"),
        ({"learn_step_sizes": False}, "step_rate", "with --nolearn_step_sizes"),
    ],
)
def test_a_flag_that_would_be_ignored_is_refused(changes, given, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        settings(**changes).check_given(frozenset({given}))


@pytest.fixture(scope="module")
def spots():
    images = np.arange(240 * 36).reshape(240, 6, 6, 1) % 251
    return dataset_from_arrays(images.astype(np.uint8), np.arange(240) % 3, name="spots")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"network": "lenet", "width": None}, "6 x 6 pixels are too small for lenet"),
        ({**ATTACK, "attack_class": "7"}, "`--attack_class`: spots has no class '7'; it has 0, 1"),
        ({"initialisation": "pool:nowhere"}, "nowhere"),
        ({"initialisation": "file:nowhere.npz"}, "nowhere.npz"),
    ],
)
def test_what_does_not_fit_the_data_is_refused(spots, changes, says):
    with pytest.raises((ValueError, OSError), match=re.escape(says)):
        settings(**changes).check_data(spots, "standardise")


def test_a_backend_is_for_kernels():
    assert METHODS["dd"] is UnrollSettings
    assert settings().backend(Context()) == "xla"
    with pytest.raises(ValueError, match="`--backend` fused is for kernels"):
        settings().backend(Context("fused"))


def test_images_are_those_of_each_step():
    ten = settings(distill_steps=4)
    assert ten.support_size(2, 3) == 24
    ten.check_support(24, 3)
    with pytest.raises(ValueError, match="do not make 18 images; try 12 or 24"):
        ten.check_support(18, 3)


def test_passes_and_memory_are_known_beforehand():
    sizes = RunSizes((6, 6, 1), 3, train=192, test=48, support=12, chunk=30)
    cost = settings(distill_steps=2, distill_epochs=3, networks=2).cost(
        sizes, steps=5, evaluations=1
    )
    assert cost.elements == 0 and cost.passes == 5 * 2 * (3 * 6 * 6 + 30)
    assert {"a step and back", "weights of the steps"} <= dict(cost.memory).keys()


def test_the_batch_is_that_of_the_paper_or_what_there_is(spots):
    assert settings().batch_size(spots, 3) == 3 * np.bincount(spots.y_train).min()
    assert settings(target_batch=30).batch_size(spots, 3) == 30
    with pytest.raises(ValueError, match="`--target_batch`"):
        settings(target_batch=9000).batch_size(spots, 3)


def test_the_recipe_before_anything_is_learned():
    recipe = settings(initialisation="fixed", step_size=0.1).recipe()
    assert isinstance(recipe, StepsRecipe) and recipe.rates == (0.1,) * 30
    assert (recipe.initialisation, recipe.seed) == ("seed", 0)


def test_draws_are_functions_of_seed_and_step():
    assert drawn_seeds(0, 3, 2) == drawn_seeds(0, 3, 2) != drawn_seeds(0, 4, 2)
    assert min(drawn_seeds(0, 3, 100)) >= 2**32
    assert drawn_members(0, 1, 8, 3) == sorted(set(drawn_members(0, 1, 8, 3)))
    assert drawn_members(0, 1, 8, 20) == list(range(8))
