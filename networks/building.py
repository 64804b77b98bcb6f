"""From a spec to its network."""

from collections.abc import Callable
from functools import partial

import equinox as eqx

from stillhouse.networks.alexcifar import alexcifar
from stillhouse.networks.alexnet import alexnet
from stillhouse.networks.convnet import convnet
from stillhouse.networks.lenet import lenet
from stillhouse.networks.mlp import mlp
from stillhouse.networks.network import Network
from stillhouse.networks.resnet import resnet18
from stillhouse.networks.spec import NetworkSpec
from stillhouse.networks.vgg import vgg11

_FAMILIES: dict[str, Callable[..., eqx.nn.Sequential]] = {
    "convnet": convnet,
    "mlp": mlp,
    "lenet": lenet,
    "alexcifar": alexcifar,
    "alexnet": alexnet,
    "vgg11": vgg11,
    "resnet18": resnet18,
}


def build(spec: NetworkSpec, image_shape: tuple[int, int, int], num_classes: int) -> Network:
    """Return the network of a spec; see `stillhouse.networks.build_network`."""
    make = partial(_FAMILIES[spec.family], tuple(image_shape), num_classes, **spec.options)
    return Network(make, spec)
