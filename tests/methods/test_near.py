import dataclasses

import pytest

from stillhouse.launch.catalogue import COMMANDS
from stillhouse.methods import near
from stillhouse.methods.near import nearest
from stillhouse.methods.registry import METHODS

NAMES = ("steps", "learning_rate", "test_fraction", "ipc", "out", "l2", "regularisation")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("iterations", "steps"),
        ("LR", "learning_rate"),
        ("images-per-class", "ipc"),
        ("weight_decay", "l2"),
        ("stepz", "steps"),
        ("qqqq", None),
    ],
)
def test_what_others_call_it_comes_before_what_is_spelled_alike(name, meant):
    assert nearest(name, NAMES) == meant


def fields(group):
    return dataclasses.fields(group) if dataclasses.is_dataclass(group) else ()


def test_every_name_that_is_offered_is_a_setting_somewhere():
    groups = [field.type for command in COMMANDS.values() for field in fields(command.config)]
    known = {field.name for group in (*groups, *METHODS.values()) for field in fields(group)}
    assert set(near._ELSEWHERE) <= known
