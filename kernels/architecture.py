"""Architectures of infinitely wide networks, as data.

An `Architecture` is a tuple of layers: convolutions, ReLUs and pools on the image, then one
readout (`Flatten` or `GlobalAvgPool`), then dense layers. It holds no arrays and no code, so it
can be written into a card, sent to a worker, hashed and compared.

The factories give the networks of the papers; every parameter of every layer stays open to
whoever builds the tuple by hand.
"""

import dataclasses
import json
import math
import numbers
from collections.abc import Sequence
from typing import Any

_W_STD = math.sqrt(2.0)
_B_STD = 0.1


def _check_stds(layer: "Conv | Dense") -> None:
    """Check the deviations of a layer, and keep them as Python's numbers, which JSON has."""
    name = type(layer).__name__
    if not (_is_finite(layer.W_std) and layer.W_std > 0):
        raise ValueError(f"`W_std` of {name} must be a positive number, got {layer.W_std!r}")
    if not (_is_finite(layer.b_std) and layer.b_std >= 0):
        raise ValueError(f"`b_std` of {name} must be zero or positive, got {layer.b_std!r}")
    for field in ("W_std", "b_std"):
        object.__setattr__(layer, field, float(getattr(layer, field)))


def _is_finite(value: object) -> bool:
    return isinstance(value, numbers.Real) and math.isfinite(value)


def _check_window(name: str, window: Any) -> None:
    if (
        not isinstance(window, tuple | list)
        or len(window) != 2
        or any(type(k) is not int or k < 1 for k in window)
    ):
        raise ValueError(f"`window` of {name} must be two positive integers, got {window}")


@dataclasses.dataclass(frozen=True)
class Conv:
    """A convolution with stride 1 and SAME padding, in NTK parameterisation.

    Attributes:
        window: height and width of the filter, in pixels.
        W_std: standard deviation of the weights, before division by the root of the fan-in.
        b_std: standard deviation of the biases.
    """

    window: tuple[int, int] = (3, 3)
    W_std: float = _W_STD
    b_std: float = _B_STD

    def __post_init__(self) -> None:
        _check_window("Conv", self.window)
        _check_stds(self)


@dataclasses.dataclass(frozen=True)
class Relu:
    """The rectifier max(0, x)."""


@dataclasses.dataclass(frozen=True)
class AvgPool:
    """An average over windows that do not overlap; rows and columns left over are dropped.

    Attributes:
        window: height and width of the window, and its strides.
    """

    window: tuple[int, int] = (2, 2)

    def __post_init__(self) -> None:
        _check_window("AvgPool", self.window)


@dataclasses.dataclass(frozen=True)
class Flatten:
    """The readout that keeps every pixel as a feature of its own."""


@dataclasses.dataclass(frozen=True)
class GlobalAvgPool:
    """The readout that averages each channel over all pixels."""


@dataclasses.dataclass(frozen=True)
class Dense:
    """A fully connected layer, in NTK parameterisation.

    Attributes:
        W_std: standard deviation of the weights, before division by the root of the fan-in.
        b_std: standard deviation of the biases.
    """

    W_std: float = _W_STD
    b_std: float = _B_STD

    def __post_init__(self) -> None:
        _check_stds(self)


Layer = Conv | Relu | AvgPool | Flatten | GlobalAvgPool | Dense

_LAYERS: dict[str, type[Layer]] = {
    cls.__name__: cls for cls in (Conv, Relu, AvgPool, Flatten, GlobalAvgPool, Dense)
}


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A network of infinite width: image layers, one readout, dense layers.

    Attributes:
        layers: the layers in the order in which an image meets them.

    Raises:
        ValueError: if the layers do not make a network whose kernel is known in closed form:
            exactly one readout, image layers before it, dense layers after it with a `Dense`
            last, and every `Relu` right behind a `Conv` or `Dense` (its input must be Gaussian).
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        layers: Any = self.layers
        if not isinstance(layers, Sequence):
            raise ValueError(f"`layers` must be a sequence of layers, got {layers!r}")
        object.__setattr__(self, "layers", tuple(self.layers))
        names = [type(layer).__name__ for layer in self.layers]
        readouts = [i for i, name in enumerate(names) if name in ("Flatten", "GlobalAvgPool")]
        if len(readouts) != 1:
            raise ValueError(
                f"an architecture needs exactly one Flatten or GlobalAvgPool, got layers {names}"
            )
        for i, name in enumerate(names):
            if name in ("Conv", "AvgPool") and i > readouts[0]:
                raise ValueError(f"{name} (layer {i}) cannot follow the readout, got {names}")
            if name == "Dense" and i < readouts[0]:
                raise ValueError(f"Dense (layer {i}) cannot precede the readout, got {names}")
            if name == "Relu" and (i == 0 or names[i - 1] not in ("Conv", "Dense")):
                raise ValueError(f"Relu (layer {i}) must follow a Conv or a Dense, got {names}")
        if names[-1] != "Dense":
            raise ValueError(f"the last layer must be a Dense, got layers {names}")

    @property
    def image_layers(self) -> tuple[Conv | Relu | AvgPool, ...]:
        """The layers before the readout."""
        return self.layers[: self._readout_index]  # type: ignore[return-value]

    @property
    def readout(self) -> Flatten | GlobalAvgPool:
        """The layer that ends the image."""
        return self.layers[self._readout_index]  # type: ignore[return-value]

    @property
    def dense_layers(self) -> tuple[Dense | Relu, ...]:
        """The layers after the readout."""
        return self.layers[self._readout_index + 1 :]  # type: ignore[return-value]

    @property
    def is_convolutional(self) -> bool:
        """Whether it has a convolution."""
        return any(isinstance(layer, Conv) for layer in self.layers)

    @property
    def _readout_index(self) -> int:
        return next(
            i for i, layer in enumerate(self.layers) if isinstance(layer, Flatten | GlobalAvgPool)
        )

    def check_image(self, height: int, width: int) -> None:
        """Raise `ValueError` if pooling would leave nothing of an image of this size."""
        h, w, pools = height, width, 0
        for i, layer in enumerate(self.image_layers):
            if isinstance(layer, AvgPool):
                if h < layer.window[0] or w < layer.window[1]:
                    raise ValueError(
                        f"images of {height} x {width} pixels are too small: {h} x {w} are left "
                        f"before the {layer.window[0]} x {layer.window[1]} pool (layer {i}); "
                        f"use larger images, or a network of {pools} pools at most (for a ConvNet, "
                        f"depth={pools})"
                    )
                pools += 1
                h, w = h // layer.window[0], w // layer.window[1]
        if h < 1 or w < 1:
            raise ValueError(f"images must have at least one pixel, got {height} x {width}")

    def to_json(self) -> str:
        """Return the architecture as one line of JSON, the same for equal architectures."""
        layers = [
            {"layer": type(layer).__name__, **dataclasses.asdict(layer)} for layer in self.layers
        ]
        return json.dumps({"layers": layers}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Architecture":
        """Read what `to_json` wrote.

        Raises:
            ValueError: if the text is not JSON, or names an unknown layer or parameter.
        """
        try:
            entries = json.loads(text)["layers"]
            return cls(tuple(_layer_from_dict(entry) for entry in entries))
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not an architecture: {text[:200]!r} ({error})") from error


def _layer_from_dict(entry: dict[str, Any]) -> Layer:
    name = entry["layer"]
    if name not in _LAYERS:
        raise ValueError(f"unknown layer {name!r}, expected one of {sorted(_LAYERS)}")
    options: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in entry.items()
        if key != "layer"
    }
    return _LAYERS[name](**options)


def fc(depth: int, *, W_std: float = _W_STD, b_std: float = _B_STD) -> Architecture:
    """Return a fully connected network with `depth` hidden layers (FC1 is `fc(1)`)."""
    depth = _checked_depth("fc", depth)
    hidden = (Dense(W_std, b_std), Relu()) * depth
    return Architecture((Flatten(), *hidden, Dense(W_std, b_std)))


def conv(
    depth: int,
    *,
    window: tuple[int, int] = (3, 3),
    W_std: float = _W_STD,
    b_std: float = _B_STD,
    global_pool: bool = False,
) -> Architecture:
    """Return `depth` convolutions without pooling (ConvVec3 is `conv(3)`)."""
    depth = _checked_depth("conv", depth)
    return _network((Conv(window, W_std, b_std), Relu()) * depth, W_std, b_std, global_pool)


def convnet(
    depth: int = 3,
    *,
    prepend: bool = True,
    window: tuple[int, int] = (3, 3),
    pool: tuple[int, int] = (2, 2),
    W_std: float = _W_STD,
    b_std: float = _B_STD,
    global_pool: bool = False,
) -> Architecture:
    """Return the ConvNet of KIP: `depth` blocks of convolution, ReLU and average pool.

    Args:
        depth: the number of blocks.
        prepend: put one more convolution and ReLU before the first block (ConvNet); without it
            the network is ConvNet3.
        window: the filters' height and width.
        pool: the pools' height and width.
        W_std: standard deviation of all weights.
        b_std: standard deviation of all biases.
        global_pool: end with a global average instead of Flatten.

    References:
        Nguyen, Novak, Xiao, Lee. Dataset Distillation with Infinitely Wide Convolutional
        Networks. NeurIPS 2021, https://arxiv.org/abs/2107.13034
    """
    depth = _checked_depth("convnet", depth)
    layer = (Conv(window, W_std, b_std), Relu())
    blocks = (*layer, AvgPool(pool)) * depth
    return _network((*layer, *blocks) if prepend else blocks, W_std, b_std, global_pool)


def myrtle(depth: int, *, W_std: float = _W_STD, b_std: float = _B_STD) -> Architecture:
    """Return the Myrtle network of 5, 7 or 10 layers: three stages, then a global average.

    References:
        Shankar et al. Neural Kernels Without Tangents. ICML 2020,
        https://arxiv.org/abs/2003.02237
    """
    stages = {5: (2, 1, 1), 7: (2, 2, 2), 10: (3, 3, 3)}
    if _checked_depth("myrtle", depth) not in stages:
        raise ValueError(f"`depth` of myrtle must be one of {sorted(stages)}, got {depth}")
    layer = (Conv((3, 3), W_std, b_std), Relu())
    first, second, third = (layer * n for n in stages[int(depth)])
    return _network((*first, AvgPool(), *second, AvgPool(), *third), W_std, b_std, True)


def _network(
    image_layers: Sequence[Layer], W_std: float, b_std: float, global_pool: bool
) -> Architecture:
    readout = GlobalAvgPool() if global_pool else Flatten()
    return Architecture((*image_layers, readout, Dense(W_std, b_std)))


def _checked_depth(name: str, depth: Any) -> int:
    if isinstance(depth, bool) or not isinstance(depth, numbers.Integral) or depth < 1:
        raise ValueError(f"`depth` of {name} must be a positive integer, got {depth!r}")
    return int(depth)
