"""Finite networks that are trained on distilled sets, by name."""

import inspect
from collections.abc import Callable
from functools import partial

import equinox as eqx

from stillhouse.networks.alexnet import alexnet
from stillhouse.networks.convnet import convnet
from stillhouse.networks.layers import NORMS
from stillhouse.networks.mlp import mlp
from stillhouse.networks.network import PARAMETERISATIONS, Network
from stillhouse.networks.resnet import resnet18
from stillhouse.networks.vgg import vgg11

__all__ = ["NETWORKS", "NORMS", "PARAMETERISATIONS", "Network", "build_network"]

_FAMILIES: dict[str, Callable[..., eqx.Module]] = {
    "convnet": convnet,
    "mlp": mlp,
    "alexnet": alexnet,
    "vgg11": vgg11,
    "resnet18": resnet18,
}
NETWORKS = tuple(_FAMILIES)


def build_network(
    name: str,
    image_shape: tuple[int, int, int],
    num_classes: int,
    *,
    width: int,
    depth: int | None = None,
    norm: str = "none",
    prepend: bool = True,
    parameterisation: str = "standard",
) -> Network:
    """Return a network for images of this shape.

    Args:
        name: one of `NETWORKS`.
        image_shape: height, width and channels.
        num_classes: the number of outputs k.
        width: channels of its first convolution, or units of its hidden layers.
        depth: blocks of a convnet, hidden layers of an mlp; None for the family's own.
        norm: one of `NORMS`.
        prepend: put one more convolution before the first block (convnet).
        parameterisation: one of `PARAMETERISATIONS`.

    Raises:
        ValueError: if a name is unknown, the network does not have what is asked for, or the image
            is too small for it.
    """
    for value, names, what in (
        (name, NETWORKS, "network"),
        (norm, NORMS, "norm"),
        (parameterisation, PARAMETERISATIONS, "parameterisation"),
    ):
        if value not in names:
            raise ValueError(f"unknown {what} {value!r}, expected one of {', '.join(names)}")
    if width < 1 or (depth is not None and depth < 1):
        raise ValueError(f"`width` and `depth` must be positive, got {width} and {depth}")
    family = _FAMILIES[name]
    takes = inspect.signature(family).parameters
    asked = {"depth": depth, "norm": norm, "prepend": prepend}
    own = {"depth": None, "norm": "none", "prepend": True}
    for option, setting in asked.items():
        if option not in takes and setting != own[option]:
            raise ValueError(f"{name} has no `{option}` to set, got {setting!r}")
    options = {k: v for k, v in asked.items() if k in takes and v is not None}
    make = partial(family, tuple(image_shape), num_classes, width=width, **options)
    return Network(make, parameterisation=parameterisation)
