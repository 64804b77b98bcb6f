import dataclasses
import inspect

import pytest

from stillhouse.data.transforms import TRANSFORMS as ALL_TRANSFORMS
from stillhouse.kernels import BACKENDS
from stillhouse.launch.commands import COMMANDS
from stillhouse.launch.config import (
    TRANSFORMS,
    ComputeConfig,
    DistillConfig,
    KernelConfig,
    MethodConfig,
    SetConfig,
    check_given,
)


def groups():
    for command in COMMANDS.values():
        for field in dataclasses.fields(command.config):
            if dataclasses.is_dataclass(field.type):
                yield field.type


def test_the_choices_are_those_that_there_are():
    assert set(TRANSFORMS) == set(ALL_TRANSFORMS)
    choices = {field.name: field.metadata["choices"] for field in dataclasses.fields(ComputeConfig)}
    assert choices["backend"] == BACKENDS


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MethodConfig().steps = 3


@pytest.mark.parametrize("group", set(groups()), ids=lambda group: group.__name__)
def test_every_setting_says_what_it_is_and_its_documentation_too(group):
    for field in dataclasses.fields(group):
        assert field.metadata["help"]
        assert f"\n    {field.name}: " in inspect.cleandoc(group.__doc__)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("inf")},
        {"regularisation": -1.0},
        {"regularisation": float("nan")},
        {"seed": -1},
        {"method": "gan"},
        {"target_batch": 0},
    ],
)
def test_a_value_out_of_its_range_names_the_flag(wrong):
    with pytest.raises(ValueError, match=f"--{next(iter(wrong))}"):
        MethodConfig(**wrong)


@pytest.mark.parametrize("name", ["depth", "W_std", "b_std", "global_pool"])
def test_parts_of_a_network_need_the_network(name):
    # Zero is a value too.
    value = {"depth": 3, "W_std": 1.0, "b_std": 0.0, "global_pool": True}[name]
    with pytest.raises(ValueError, match=f"--{name}"):
        SetConfig(**{name: value})
    SetConfig(architecture="convnet", **{name: value})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"ipc", "support_size"}, "support_size"),
        ({"ensemble", "depth"}, "depth"),
        ({"architecture", "ensemble"}, "architecture"),
        ({"flip"}, "without --augment"),
    ],
)
def test_flags_that_exclude_each_other(given, says):
    with pytest.raises(ValueError, match=says):
        check_given(DistillConfig(), frozenset(given))


@pytest.mark.parametrize("name", ["steps", "learning_rate", "learn_labels", "augment", "ensemble"])
def test_a_flag_that_would_be_ignored_is_refused(name):
    config = DistillConfig(method=MethodConfig(method="label_solve"))
    with pytest.raises(ValueError, match=f"--{name}"):
        check_given(config, frozenset({name, "method"}))
    check_given(DistillConfig(), frozenset({name}))


def test_an_ensemble_is_checked_with_the_rest():
    with pytest.raises(ValueError, match="--ensemble"):
        KernelConfig(ensemble=("fc:none",))
