"""Which finite network: a family and its settings, as data."""

import dataclasses
import json
from typing import Any

NORMS = ("none", "instance", "batch", "layer", "group")
POOLINGS = ("avg", "max", "none")
ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "swish")
PARAMETERISATIONS = ("standard", "ntk")
INITIALISATIONS = ("kernel", "xavier")

# What each family has to set, with its own value of it.
_FAMILIES: dict[str, dict[str, Any]] = {
    "convnet": {
        "width": 128,
        "depth": 3,
        "norm": "none",
        "pooling": "avg",
        "activation": "relu",
        "prepend": True,
        "initialisation": "kernel",
    },
    "mlp": {"width": 128, "depth": 2, "activation": "relu", "initialisation": "kernel"},
    "lenet": {"initialisation": "xavier"},
    "alexcifar": {"initialisation": "xavier"},
    "alexnet": {"width": 128, "norm": "none", "initialisation": "kernel"},
    "vgg11": {"width": 64, "norm": "none", "initialisation": "kernel"},
    "resnet18": {"width": 64, "norm": "none", "initialisation": "kernel"},
}
_CHOICES = {
    "family": tuple(_FAMILIES),
    "norm": NORMS,
    "pooling": POOLINGS,
    "activation": ACTIVATIONS,
    "parameterisation": PARAMETERISATIONS,
    "initialisation": INITIALISATIONS,
}
NETWORKS = tuple(_FAMILIES)


@dataclasses.dataclass(frozen=True)
class NetworkSpec:
    """A finite network as data: it says what to train, never on which images.

    What is left at None becomes the family's own value, so that equal networks have equal specs;
    it stays None where the family has nothing to set.

    Attributes:
        family: one of `NETWORKS`.
        width: channels of its first convolution, or units of its hidden layers.
        depth: blocks of a convnet, hidden layers of an mlp.
        norm: one of `NORMS`, behind every convolution. Instance norm is per image and channel,
            layer norm per image, group norm per image and quarter of the channels; each learns a
            scale and a shift for every channel.
        pooling: one of `POOLINGS`, at the end of each block of a convnet.
        activation: one of `ACTIVATIONS`, of a convnet or an mlp.
        prepend: put one more convolution before the first block of a convnet.
        parameterisation: one of `PARAMETERISATIONS`: whether the weights themselves are learned, or
            ("ntk") what stands before the scale they start with.
        initialisation: one of `INITIALISATIONS`. "kernel": normal weights of variance 2 / fan-in
            and biases of deviation 0.1, as in `stillhouse.kernels`. "xavier": normal weights of
            variance 2 / (fan-in + fan-out), and no biases.

    Raises:
        ValueError: if a name is unknown, a number is not positive, or the family does not have
            what is set.

    References:
        Jacot, Gabriel, Hongler. Neural Tangent Kernel. NeurIPS 2018,
        https://arxiv.org/abs/1806.07572 (the parameterisation)
        Glorot, Bengio. Understanding the difficulty of training deep feedforward neural networks.
        AISTATS 2010 (xavier)
    """

    family: str = "convnet"
    width: int | None = None
    depth: int | None = None
    norm: str | None = None
    pooling: str | None = None
    activation: str | None = None
    prepend: bool | None = None
    parameterisation: str = "standard"
    initialisation: str | None = None

    def __post_init__(self) -> None:
        self._check("family")
        for name, own in self._own.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, own)
        for name in ("norm", "pooling"):
            if getattr(self, name) == "none" and name not in self._own:
                object.__setattr__(self, name, None)
        for name in _CHOICES:
            self._check(name)
        for name in ("width", "depth"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ValueError(f"`{name}` must be a positive integer, got {value!r}")
        lacking = [f.name for f in dataclasses.fields(self) if self._lacks(f.name)]
        if lacking:
            name = lacking[0]
            raise ValueError(
                f"{self.family} has no `{name}` to set, got {getattr(self, name)!r}; it has "
                f"{', '.join(self._own)}"
            )
        if self.parameterisation == "ntk" and self.initialisation == "xavier":
            raise ValueError(
                "`initialisation` xavier starts with biases of zero, which the NTK "
                "parameterisation never changes; use kernel"
            )

    @property
    def _own(self) -> dict[str, Any]:
        return _FAMILIES[self.family]

    def _lacks(self, name: str) -> bool:
        if name in self._own or name in ("family", "parameterisation"):
            return False
        return getattr(self, name) is not None

    def _check(self, name: str) -> None:
        value = getattr(self, name)
        if value is not None and value not in _CHOICES[name]:
            raise ValueError(f"`{name}` must be one of {', '.join(_CHOICES[name])}, got {value!r}")

    @property
    def options(self) -> dict[str, Any]:
        """What the family is built with: its settings but for what the weights start as."""
        return {name: getattr(self, name) for name in self._own if name != "initialisation"}

    def __str__(self) -> str:
        """Return the network in words, such as `convnet of width 128, depth 3, norm instance`."""
        shown = ("width", "depth", "norm", "pooling", "activation")
        own = _FAMILIES[self.family]
        words = [
            f"{name} {getattr(self, name)}"
            for name in shown
            if name in own and (name == "width" or getattr(self, name) != own[name])
        ]
        if self.prepend is False:
            words.append("without the first convolution")
        if self.parameterisation == "ntk":
            words.append("in NTK parameterisation")
        if self.initialisation != own["initialisation"]:
            words.append(f"{self.initialisation} initialisation")
        return f"{self.family} of {', '.join(words)}" if words else self.family

    def to_json(self) -> str:
        """Return the spec as one line of JSON, the same for equal specs."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    def to_dict(self) -> dict[str, Any]:
        """Return what is set, as what JSON has."""
        entries = dataclasses.asdict(self)
        return {name: value for name, value in entries.items() if value is not None}

    @classmethod
    def from_json(cls, text: str) -> "NetworkSpec":
        """Read what `to_json` wrote.

        Raises:
            ValueError: if the text is not JSON, or is not a network's.
        """
        try:
            return cls.from_dict(json.loads(text))
        except ValueError as error:
            raise ValueError(f"not a network spec: {text[:200]!r} ({error})") from error

    @classmethod
    def from_dict(cls, entries: Any) -> "NetworkSpec":
        """Make the spec from what `to_dict` returned.

        Raises:
            ValueError: if it is not a network's.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(entries, dict) or "family" not in entries or not entries.keys() <= names:
            raise ValueError(
                f"a network is an object with `family` and some of {', '.join(sorted(names))}, got "
                f"{entries!r}"
            )
        return cls(**entries)
