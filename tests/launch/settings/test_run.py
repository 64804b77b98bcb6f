import dataclasses
import inspect

import pytest

from stillhouse.data.transforms import TRANSFORMS as ALL_TRANSFORMS
from stillhouse.kernels import BACKENDS
from stillhouse.launch.catalogue import COMMANDS
from stillhouse.launch.settings.reading import _TRANSFORMS
from stillhouse.launch.settings.run import (
    ComputeConfig,
    DistillConfig,
    EngineConfig,
    MethodConfig,
    PlanConfig,
    ServeConfig,
)
from stillhouse.methods.kernel_regression.kip_settings import KipSettings
from stillhouse.methods.method import Method
from stillhouse.methods.registry import METHODS


def groups():
    for command in COMMANDS.values():
        for field in dataclasses.fields(command.config):
            if dataclasses.is_dataclass(field.type) and field.type is not Method:
                yield field.type


def test_the_choices_are_those_that_there_are():
    assert set(_TRANSFORMS) == set(ALL_TRANSFORMS)
    choices = {field.name: field.metadata["choices"] for field in dataclasses.fields(ComputeConfig)}
    assert choices["backend"] == BACKENDS


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MethodConfig().seed = 3


@pytest.mark.parametrize(
    "group", dict.fromkeys([*groups(), *METHODS.values()]), ids=lambda g: g.__name__
)
def test_every_setting_says_what_it_is_and_its_documentation_too(group):
    documented = "".join(inspect.cleandoc(cls.__doc__ or "") for cls in group.__mro__)
    for field in dataclasses.fields(group):
        assert field.metadata["help"]
        assert f"\n    {field.name}: " in documented


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("inf")},
        {"regularisation": -1.0},
        {"regularisation": float("nan")},
        {"target_batch": 0},
        {"kernel": "rbf"},
    ],
)
def test_a_value_out_of_its_range_names_the_flag(wrong):
    with pytest.raises(ValueError, match=f"--{next(iter(wrong))}"):
        KipSettings(**wrong)


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"method": "gan"}])
def test_so_does_one_of_all_methods(wrong):
    with pytest.raises(ValueError, match=f"--{next(iter(wrong))}"):
        MethodConfig(**wrong)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("audit", 1.5, "a share from 0 to 1"),
        ("audit", -0.1, "a share from 0 to 1"),
        ("audit", float("nan"), "a share from 0 to 1"),
        ("task_limit", 0.0, "a time"),
        ("task_limit", float("inf"), "a time"),
        ("max_lonely", -1.0, "a time"),
    ],
)
def test_limits_are_times_and_an_audit_is_a_share(name, value, expected):
    with pytest.raises(ValueError, match=f"--{name}` must be {expected}"):
        EngineConfig(**{name: value})


def test_an_audit_needs_two_workers_of_one_kind():
    with pytest.raises(ValueError, match="`--audit` compares bits, .*`--any_device`"):
        EngineConfig(audit=0.1, any_device=True)
    for engine in (EngineConfig(audit=0.1), EngineConfig("launchpad", 1, audit=0.1)):
        with pytest.raises(ValueError, match="`--audit` compares the results of two workers"):
            DistillConfig(engine=engine)
    DistillConfig(engine=EngineConfig("launchpad", 2, audit=0.1))
    ServeConfig(engine=EngineConfig(audit=0.1))  # Workers may come later.
    with pytest.raises(ValueError, match="give --workers"):
        PlanConfig(engine=EngineConfig(audit=0.1))


def test_settings_of_another_method_are_refused():
    with pytest.raises(ValueError, match="the settings of label_solve, LabelSolveSettings"):
        DistillConfig(method=MethodConfig("label_solve"), own=KipSettings())


def test_an_ensemble_is_checked_with_the_rest():
    with pytest.raises(ValueError, match="--ensemble"):
        KipSettings(ensemble=("fc:none",))
