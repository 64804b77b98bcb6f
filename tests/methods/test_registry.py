import pytest

from stillhouse.data.recipes import KrrRecipe
from stillhouse.methods.kernel_regression.kip_settings import KipSettings
from stillhouse.methods.kernel_regression.label_solve_settings import LabelSolveSettings
from stillhouse.methods.registry import METHODS, add_method, method_for, owners_of


def test_a_method_is_had_by_its_name_and_settings():
    assert method_for("kip", steps=3) == KipSettings(steps=3)
    assert METHODS["label_solve"] is LabelSolveSettings
    assert (KipSettings.name, LabelSolveSettings.name) == ("kip", "label_solve")


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("gan", {}, "`--method` must be one of kip, label_solve, .*got 'gan'"),
        ("label_solve", {"steps": 3}, "no meaning for --method=label_solve, only for kip and "),
        ("kip", {"speed": 3}, "there is no setting `--speed` of --method=kip"),
        ("kip", {"steps": 0}, "`--steps` must be a whole number, 1 or more, got 0"),
    ],
)
def test_what_there_is_not_is_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        method_for(name, **settings)


def test_owners_are_the_methods_that_have_a_setting():
    assert owners_of("architecture") == ["kip", "label_solve", "rfad"]
    assert owners_of("ensemble") == ["kip"]
    assert {"kip", "dd"} <= set(owners_of("decay"))
    assert owners_of("dataset") == []


def test_two_methods_cannot_have_one_name():
    with pytest.raises(ValueError, match="there is a method 'kip' already: KipSettings"):
        add_method("kip", LabelSolveSettings)


def test_the_recipe_is_krr_with_the_first_kernel():
    settings = KipSettings(ensemble=("fc:2", "fc:1"), regularisation=1e-4)
    assert settings.recipe() == KrrRecipe(settings.kernels()["fc:2"], 1e-4)
