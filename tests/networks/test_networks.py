"""The families by name: their sizes, the images that they take, and what they refuse."""

import jax
import numpy as np
import pytest

from stillhouse.networks import (
    ACTIVATIONS,
    NETWORKS,
    NORMS,
    POOLINGS,
    NetworkSpec,
    build_network,
)

SHAPES = [(8, 8, 1), (28, 28, 1), (32, 32, 3)]


def small(name, **settings):
    return NetworkSpec(name, width=None if name in ("lenet", "alexcifar") else 8, **settings)


def outputs_shape(network, image_shape, training):
    images = jax.ShapeDtypeStruct((5, *image_shape), np.float32)
    start = jax.eval_shape(lambda: network.unpack(np.zeros(network.size, np.float32)))
    return jax.eval_shape(
        lambda start, x: network.apply(*start, x, training=training)[0], start, images
    ).shape


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_takes_every_common_image(name, shape):
    if (name, shape) == ("lenet", (8, 8, 1)):
        with pytest.raises(ValueError, match="8 x 8 pixels are too small for lenet.*12 x 12"):
            build_network(NetworkSpec(name), shape, 7)
        return
    network = build_network(small(name), shape, 7)
    for training in (True, False):
        assert outputs_shape(network, shape, training) == (5, 7)


# A norm is told channels and never the size of an image: one size shows it.
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["convnet", "alexnet", "vgg11", "resnet18"])
def test_every_norm_is_trained_and_tested_with(name, norm):
    network = build_network(small(name, norm=norm), SHAPES[0], 7)
    for training in (True, False):
        assert outputs_shape(network, SHAPES[0], training) == (5, 7)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_convnet_has_any_pool_and_activation(pooling, activation):
    spec = NetworkSpec(width=4, depth=2, pooling=pooling, activation=activation)
    network = build_network(spec, (8, 8, 1), 7)
    assert outputs_shape(network, (8, 8, 1), training=True) == (5, 7)
    pixels = 8 * 8 if pooling == "none" else 2 * 2
    assert [shape for _, shape in network.layout[-2:]] == [(7, 4 * pixels), (7,)]


@pytest.mark.parametrize(
    ("name", "settings", "parameters"),
    [
        # As counted by others: the ConvNet of DC-BENCH, and VGG-11 and ResNet-18 for CIFAR in
        # https://github.com/kuangliu/pytorch-cifar.
        ("convnet", {"width": 128, "norm": "instance", "prepend": False}, 320_010),
        ("vgg11", {"width": 64, "norm": "batch"}, 9_231_114),
        ("resnet18", {"width": 64, "norm": "batch"}, 11_173_962),
        # Counted by hand: weights and biases layer by layer.
        (
            "convnet",
            {"width": 16},
            (27 * 16 + 16) + 3 * (9 * 16 * 16 + 16) + (4 * 4 * 16 * 10 + 10),
        ),
        # LeNet-5 on 32 x 32 grey images is known for its 61,706; two more channels are 300 more.
        ("lenet", {}, 61_706 + 2 * 25 * 6),
        (
            "alexcifar",
            {},
            (75 * 64 + 64)
            + (25 * 64 * 64 + 64)
            + (4096 * 384 + 384)
            + (384 * 192 + 192)
            + (192 * 10 + 10),
        ),
        ("mlp", {"width": 20}, (3072 * 20 + 20) + (20 * 20 + 20) + (20 * 10 + 10)),
        ("mlp", {"width": 20, "depth": 1}, (3072 * 20 + 20) + (20 * 10 + 10)),
        (
            "alexnet",
            {"width": 4},
            (75 * 4 + 4)
            + (25 * 4 * 6 + 6)
            + (9 * 6 * 8 + 8)
            + (9 * 8 * 6 + 6)
            + (9 * 6 * 6 + 6)
            + (4 * 4 * 6 * 10 + 10),
        ),
    ],
)
def test_the_number_of_parameters_is_the_known_one(name, settings, parameters):
    network = build_network(NetworkSpec(name, **settings), (32, 32, 3), 10)
    assert network.num_parameters == parameters


@pytest.mark.parametrize(
    ("name", "shape", "needs"), [("convnet", (7, 28, 1), "8 x 8"), ("alexnet", (28, 7, 1), "8 x 8")]
)
def test_an_image_that_is_too_small_is_named(name, shape, needs):
    with pytest.raises(ValueError, match=f"{shape[0]} x {shape[1]} pixels are too small.*{needs}"):
        build_network(NetworkSpec(name, width=4), shape, 10)


def test_a_convnet_of_fewer_blocks_takes_smaller_images():
    network = build_network(NetworkSpec(width=4, depth=1), (3, 3, 1), 2)
    assert outputs_shape(network, (3, 3, 1), training=False) == (5, 2)


def test_group_norm_says_which_widths_make_groups():
    with pytest.raises(ValueError, match="4 groups of the channels, which 6 cannot"):
        build_network(NetworkSpec(width=6, norm="group"), (8, 8, 1), 2)
