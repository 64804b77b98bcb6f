import dataclasses

import pytest

from stillhouse.data.distilled import load_distilled
from stillhouse.data.releases.names import (
    architecture_named,
    file_name,
    kernel_name,
    kip_settings,
    set_name,
)
from stillhouse.kernels import KernelSpec, conv, convnet, fc, myrtle

NAMES = {
    "ConvNet": convnet(3),
    "ConvNet3": convnet(3, prepend=False),
    "ConvNet-2": convnet(2),
    "ConvNet3-1-gap": convnet(1, prepend=False, global_pool=True),
    "ConvVec3": conv(3),
    "FC1": fc(1),
    "FC10": fc(10),
    "Myrtle5": myrtle(5),
}


@pytest.mark.parametrize(("name", "architecture"), NAMES.items())
def test_networks_and_their_published_names(name, architecture):
    assert architecture_named(name) == architecture_named(name.lower()) == architecture
    assert kernel_name(KernelSpec(architecture)) == name
    assert kernel_name(KernelSpec(architecture, "nngp")) == f"{name}-nngp"


def test_a_network_without_a_name_has_one_of_its_own():
    names = {kernel_name(KernelSpec(fc(1, W_std=std))) for std in (1.0, 1.5)}
    assert len(names) == 2 and all(name.startswith("Network-") for name in names)


def test_an_unknown_network_is_one_line():
    with pytest.raises(ValueError, match="unknown architecture 'ResNet18', expected ConvNet, "):
        architecture_named("ResNet18")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "FC1_ssize6_nozca_l_noaug_ckpt7"),
        ({"transform": "zca", "steps": 300}, "FC1_ssize6_zca_l_noaug_ckpt300"),
        ({"method": "label_solve"}, "FC1_ssize6_nozca"),
        ({"method": "random subset"}, "FC1_ssize6_nozca_random_subset"),
    ],
)
def test_sets_are_called_as_the_published_ones(make_set, settings, name):
    assert set_name(load_distilled(make_set(**settings))) == name


def test_what_a_card_does_not_say_is_left_out(make_set):
    distilled = load_distilled(make_set())
    card = dataclasses.replace(distilled.card, config={"steps": 3.5, "learn_labels": "yes"})
    assert kip_settings(card) == (None, None, None)
    assert set_name(dataclasses.replace(distilled, card=card)) == "FC1_ssize6_nozca"
    with pytest.raises(ValueError, match="no card"):
        set_name(dataclasses.replace(distilled, card=None))


@pytest.mark.parametrize(
    ("text", "name"),
    [("cifar10", "cifar10"), ("../a b/ü.npz", "_a_b_.npz"), ("..", "_"), ("", "_")],
)
def test_any_text_becomes_a_name_that_stays_in_its_folder(text, name):
    assert file_name(text) == name
