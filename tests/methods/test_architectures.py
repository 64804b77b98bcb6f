import pytest

from stillhouse.kernels.architecture import conv, convnet, fc, myrtle
from stillhouse.methods.architectures import (
    ARCHITECTURES,
    build_architecture,
    default_depth,
    parse_ensemble,
)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("fc", {"depth": 2}, fc(2)),
        ("conv", {"depth": 4, "global_pool": True}, conv(4, global_pool=True)),
        ("convnet", {}, convnet(3)),
        ("convnet", {"depth": 2, "b_std": 0.0}, convnet(2, b_std=0.0)),
        ("convnet3", {}, convnet(3, prepend=False)),
        ("myrtle", {"depth": 7, "W_std": 1.0}, myrtle(7, W_std=1.0)),
    ],
)
def test_names_stand_for_the_networks_of_the_papers(name, options, expected):
    assert build_architecture(name, **options) == expected


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_family_has_a_depth_of_its_own(name):
    assert build_architecture(name) == build_architecture(name, default_depth(name))


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("resnet", {}, "expected one of fc, conv, convnet"),
        ("fc", {"global_pool": True}, "global_pool"),
        ("myrtle", {"depth": 6}, r"\[5, 7, 10\]"),
    ],
)
def test_what_there_is_not_is_refused(name, options, says):
    with pytest.raises(ValueError, match=says):
        build_architecture(name, **options)


def test_an_ensemble_is_families_with_depths():
    assert parse_ensemble(["convnet:2", "fc", "myrtle:10"]) == (
        ("convnet", 2),
        ("fc", 1),
        ("myrtle", 10),
    )
    assert parse_ensemble([]) == ()


@pytest.mark.parametrize(
    "members", [["con:3"], ["fc:x"], ["fc:0"], ["fc:"], ["fc:1", "fc"], ["fc-1"]]
)
def test_an_ensemble_that_is_none_is_refused(members):
    with pytest.raises(ValueError, match="--ensemble"):
        parse_ensemble(members)
