"""The settings that all methods have which learn through finite networks."""

import dataclasses
from typing import Any, ClassVar

from stillhouse.data.dataset import Dataset
from stillhouse.methods.method import Method
from stillhouse.methods.network_options import NetworkOptions
from stillhouse.methods.programs import Context
from stillhouse.methods.target_batch import target_batch_option, target_batch_size
from stillhouse.networks import build_network

BACKEND = "xla"
"""What computes networks, wherever: on GPUs where workers have them."""


@dataclasses.dataclass(frozen=True)
class NetworkSettings(NetworkOptions, Method):
    """Learning through networks.

    Attributes:
        target_batch: real images a step learns from; None for as many as `batch_of`, or all.
        batch_of: how many that is, by default.
    """

    threads: ClassVar[int | None] = 1
    batch_of: ClassVar[int] = 1024

    target_batch: int | None = target_batch_option("the published number, rounded")

    def batch_size(self, dataset: Dataset, support: int) -> int:
        """Return how many real images a step has."""
        of_each = max(round(self.batch_of / dataset.num_classes), 1)
        return target_batch_size(self.target_batch, of_each * dataset.num_classes, dataset)

    def learns_through(self) -> tuple[str, ...]:
        """Return the network by its family, and depth where it has one."""
        spec = self.spec
        return (spec.family if spec.depth is None else f"{spec.family}:{spec.depth}",)

    def identity(self) -> dict[str, Any]:
        """Return what decides the bits of a result; add the method's own settings."""
        return {"network": self.spec.to_json()}

    def backend(self, context: Context) -> str:
        """Return what computes networks.

        Raises:
            ValueError: if another backend is asked for, which are for kernels.
        """
        if context.backend not in ("auto", BACKEND):
            raise ValueError(
                f"`--backend` {context.backend} is for kernels, and --method={self.name} has none; "
                "drop it"
            )
        return BACKEND

    def check_data(self, dataset: Dataset, transform: str) -> None:
        """Check that the network takes the images."""
        build_network(self.spec, dataset.image_shape, dataset.num_classes)
