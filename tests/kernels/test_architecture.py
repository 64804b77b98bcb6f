"""Architectures are data: checked when made, written and read without loss."""

import dataclasses

import pytest

from stillhouse.kernels.architecture import (
    Architecture,
    AvgPool,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    Relu,
    conv,
    convnet,
    fc,
    myrtle,
)


def _count(architecture: Architecture, layer: type) -> int:
    return sum(isinstance(found, layer) for found in architecture.layers)


def test_factories_make_the_networks_of_the_papers():
    assert fc(2).layers == (Flatten(), Dense(), Relu(), Dense(), Relu(), Dense())
    assert conv(1).layers == (Conv(), Relu(), Flatten(), Dense())
    block = (Conv(), Relu(), AvgPool())
    assert convnet(prepend=False).layers == (*block * 3, Flatten(), Dense())
    assert convnet().layers == (Conv(), Relu(), *block * 3, Flatten(), Dense())
    for depth in (5, 7, 10):
        network = myrtle(depth)
        assert _count(network, Conv) + _count(network, Dense) == depth
        assert _count(network, AvgPool) == 2
        assert network.readout == GlobalAvgPool()


def test_factories_leave_every_parameter_open():
    network = convnet(
        2, window=(5, 3), pool=(3, 1), W_std=1.0, b_std=0.0, global_pool=True, prepend=False
    )
    assert network.image_layers == (Conv((5, 3), 1.0, 0.0), Relu(), AvgPool((3, 1))) * 2
    assert network.readout == GlobalAvgPool()
    assert network.dense_layers == (Dense(1.0, 0.0),)


@pytest.mark.parametrize("architecture", [fc(1), conv(3, window=(5, 1)), convnet(), myrtle(7)])
def test_json_round_trip(architecture):
    text = architecture.to_json()
    assert "\n" not in text
    assert Architecture.from_json(text) == architecture
    assert hash(Architecture.from_json(text)) == hash(architecture)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no json", "not an architecture|Expecting value"),
        ("[]", "not an architecture"),
        ('{"layers": [{"layer": "Gelu"}]}', "unknown layer 'Gelu'.*Relu"),
        ('{"layers": [{"layer": "Conv", "stride": 2}]}', "stride"),
    ],
)
def test_foreign_json_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        Architecture.from_json(text)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ((Conv(), Relu(), Dense()), "exactly one Flatten"),
        ((Flatten(), Conv(), Dense()), "Conv .layer 1. cannot follow"),
        ((Dense(), Flatten(), Dense()), "Dense .layer 0. cannot precede"),
        ((Relu(), Flatten(), Dense()), "Relu .layer 0. must follow"),
        ((Conv(), AvgPool(), Relu(), Flatten(), Dense()), "Relu .layer 2. must follow"),
        ((Conv(), Relu(), Flatten()), "last layer must be a Dense"),
        ((Flatten(), Dense(), Relu()), "last layer must be a Dense"),
    ],
)
def test_networks_without_a_closed_form_are_refused(layers, words):
    with pytest.raises(ValueError, match=words):
        Architecture(layers)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: fc(0), "`depth` of fc.*0"),
        (lambda: conv(2.5), "`depth` of conv.*2.5"),
        (lambda: myrtle(6), r"\[5, 7, 10\].*6"),
        (lambda: Conv((3, 0)), "`window` of Conv"),
        (lambda: AvgPool((2,)), "`window` of AvgPool"),
        (lambda: Dense(W_std=-1.0), "`W_std` of Dense.*-1.0"),
        (lambda: Conv(b_std=float("nan")), "`b_std` of Conv.*nan"),
    ],
)
def test_bad_parameters_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_an_image_too_small_for_the_pools_is_refused_by_name():
    convnet().check_image(8, 9)
    with pytest.raises(ValueError, match="7 x 28 pixels are too small.*layer 10"):
        convnet().check_image(7, 28)


def test_layers_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Conv().W_std = 1.0
