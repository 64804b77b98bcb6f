import json

import numpy as np
import pytest

from stillhouse.data.card import Card, DatasetInfo
from stillhouse.data.distilled import DistilledSet
from stillhouse.kernels.architecture import convnet, fc
from stillhouse.kernels.spec import KernelSpec
from stillhouse.launch.report.kernels import choose_kernels, parse_kernels


def set_of(side=16, spec=None):
    images, labels = np.zeros((2, side, side, 1)), np.eye(2)
    if spec is None:
        return DistilledSet(images, labels)
    info = DatasetInfo("x", "0", ("a", "b"), images.shape[1:], (0.0, 1.0))
    return DistilledSet(images, labels, None, Card("kip", json.loads(spec.to_json()), {}, 0, info))


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("own", "own"),
        ("own:nngp", "own:nngp"),
        ("fc", "fc:1:ntk"),
        ("convnet:2", "convnet:2:ntk"),
        ("conv:nngp", "conv:3:nngp"),
        ("myrtle:5:nngp", "myrtle:5:nngp"),
    ],
)
def test_a_name_and_its_flag_mean_the_same(name, flag):
    (named,) = parse_kernels([name])
    assert named.flag == flag and parse_kernels([flag]) == (named,)


@pytest.mark.parametrize("name", ["", "rbf", "fc:x", "fc:0", "fc:1:2", "own:3", "fc:1:rbf", ":"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ValueError, match="is none; expected own or one of fc"):
        parse_kernels([name])


def test_the_choice_begins_with_the_own_kernel_and_its_twin():
    own = KernelSpec(convnet(3))
    chosen = choose_kernels([], own, set_of(16, own))
    assert [one.name for one in chosen] == [
        "convnet:3 NTK (own)",
        "convnet:3 NNGP",
        "fc:1 NTK",
        "fc:3 NTK",
        "conv:3 NTK",
    ]
    assert chosen[0].spec == own and chosen[0].named.flag == "own"


def test_the_choice_has_no_kernel_twice_and_none_that_does_not_fit():
    own = KernelSpec(fc(1), "nngp")
    chosen = choose_kernels([], own, set_of(5, own))
    names = [one.name for one in chosen]
    assert names[:3] == ["fc:1 NNGP (own)", "fc:1 NTK", "fc:3 NTK"]
    assert names[-1] == "convnet:2 NTK"  # Three pools would leave nothing of 5 pixels.
    assert len({one.spec for one in chosen}) == len(chosen)


def test_without_an_own_kernel_the_others_are_left():
    chosen = choose_kernels([], None, set_of())
    assert [one.name for one in chosen] == ["fc:1 NTK", "fc:3 NTK", "conv:3 NTK", "convnet:3 NTK"]
    with pytest.raises(ValueError, match="give --architecture"):
        choose_kernels(["own"], None, set_of())


def test_a_kernel_that_is_named_is_taken_or_refused():
    own = KernelSpec(convnet(3, prepend=False, b_std=0.5))
    (first, second) = choose_kernels(["convnet3:1:nngp", "own"], own, set_of(16, own))
    assert first.name == "convnet3:1 NNGP" and second.spec == own
    assert second.name == "own network NTK (own)"
    with pytest.raises(ValueError, match="too small"):
        choose_kernels(["convnet:4"], own, set_of(8, own))
