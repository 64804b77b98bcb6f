"""The families by name: their sizes, the images that they take, and what they refuse."""

import jax
import numpy as np
import pytest

from stillhouse.networks import NETWORKS, NORMS, build_network

SHAPES = [(8, 8, 1), (28, 28, 1), (32, 32, 3)]


def outputs_shape(network, image_shape, training):
    images = jax.ShapeDtypeStruct((5, *image_shape), np.float32)
    return jax.eval_shape(
        lambda x: network.apply(*network.init(0), x, training=training)[0], images
    ).shape


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_takes_every_common_image(name, shape, norm):
    if name == "mlp" and norm != "none":
        with pytest.raises(ValueError, match="mlp has no `norm`"):
            build_network(name, shape, 7, width=4, norm=norm)
        return
    network = build_network(name, shape, 7, width=4, norm=norm)
    for training in (True, False):
        assert outputs_shape(network, shape, training) == (5, 7)


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
    assert build_network(name, (32, 32, 3), 10, **settings).num_parameters == parameters


@pytest.mark.parametrize(
    ("name", "shape", "needs"), [("convnet", (7, 28, 1), "8 x 8"), ("alexnet", (28, 7, 1), "8 x 8")]
)
def test_an_image_that_is_too_small_is_named(name, shape, needs):
    with pytest.raises(ValueError, match=f"{shape[0]} x {shape[1]} pixels are too small.*{needs}"):
        build_network(name, shape, 10, width=4)


def test_a_convnet_of_fewer_blocks_takes_smaller_images():
    network = build_network("convnet", (3, 3, 1), 2, width=4, depth=1)
    assert outputs_shape(network, (3, 3, 1), training=False) == (5, 2)


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("lenet", {}, "unknown network 'lenet', expected one of convnet"),
        ("convnet", {"norm": "layer"}, "unknown norm 'layer'"),
        ("convnet", {"parameterisation": "mup"}, "unknown parameterisation 'mup'"),
        ("vgg11", {"depth": 5}, "vgg11 has no `depth`"),
        ("mlp", {"prepend": False}, "mlp has no `prepend`"),
        ("convnet", {"depth": 0}, "must be positive"),
    ],
)
def test_what_a_network_does_not_have_is_refused(name, settings, says):
    with pytest.raises(ValueError, match=says):
        build_network(name, (32, 32, 3), 10, width=4, **settings)
