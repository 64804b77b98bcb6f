"""A finite network as settings, which are flags too. Nothing here imports JAX."""

import dataclasses

from stillhouse.methods.options import Checked, at_least, changed, option
from stillhouse.networks import (
    ACTIVATIONS,
    INITIALISATIONS,
    NETWORKS,
    NORMS,
    PARAMETERISATIONS,
    POOLINGS,
    NetworkSpec,
)


@dataclasses.dataclass(frozen=True)
class NetworkOptions(Checked):
    """Network.

    Attributes:
        network: its family.
        width: channels of its first convolution, or units of its hidden layers.
        depth: blocks of a convnet, hidden layers of an mlp; None for the family's own, and so on.
        prepend: put one more convolution before the first block of a convnet.
        norm: what normalises behind every convolution.
        pooling: what ends each block of a convnet.
        activation: what stands behind each layer of a convnet or an mlp.
        initialisation: what the weights start as.
        parameterisation: what is learned of the weights.
    """

    network: str = option("convnet", "the network", choices=NETWORKS)
    width: int | None = option(
        None,
        "channels of its first convolution, or units of a hidden layer (default: as published, 64 "
        "for vgg11 and resnet18, 128 for the others)",
        check=at_least(1),
    )
    depth: int | None = option(
        None,
        "blocks of a convnet, hidden layers of an mlp (default: 3 and 2)",
        check=at_least(1),
    )
    prepend: bool = option(True, "one more convolution before the first block (convnet)")
    norm: str = option("none", "what normalises behind each convolution", choices=NORMS)
    pooling: str | None = option(
        None, "what ends each block of a convnet (default: avg)", choices=POOLINGS
    )
    activation: str | None = option(
        None, "behind each layer of a convnet or an mlp (default: relu)", choices=ACTIVATIONS
    )
    initialisation: str | None = option(
        None,
        "what weights start as: as in the kernels, or Glorot's (default: xavier for lenet and "
        "alexcifar, kernel for the others)",
        choices=INITIALISATIONS,
    )
    parameterisation: str = option(
        "standard",
        "learn the weights themselves, or them divided by their initial scale",
        choices=PARAMETERISATIONS,
    )

    @property
    def weights_start(self) -> str | None:
        """What the weights start as; None for the family's own."""
        return self.initialisation

    @property
    def spec(self) -> NetworkSpec:
        """The network as data.

        Raises:
            ValueError: if the family does not have what is set.
        """
        own, given = NetworkSpec(self.network), changed(self, "norm", "prepend")
        # A default is no wish: families without such layers do without it.
        return NetworkSpec(
            self.network,
            width=self.width,
            depth=self.depth,
            norm=given.get("norm") if own.norm is None else self.norm,
            pooling=self.pooling,
            activation=self.activation,
            prepend=given.get("prepend") if own.prepend is None else self.prepend,
            parameterisation=self.parameterisation,
            initialisation=self.weights_start,
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.spec  # It checks that the settings go together.
