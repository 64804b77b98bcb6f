"""Which kernel: an architecture and which of its two limits."""

import dataclasses
import json
from typing import Literal, get_args

from stillhouse.kernels.architecture import Architecture

Kind = Literal["ntk", "nngp"]


@dataclasses.dataclass(frozen=True)
class KernelSpec:
    """A kernel as data: it says what to compute, never where or how.

    Attributes:
        architecture: the network whose infinite width is meant.
        kind: "ntk", the neural tangent kernel (gradient descent on all layers), or "nngp", the
            covariance of the network at initialisation (only the last layer trained).

    Raises:
        ValueError: if `kind` is neither.

    References:
        Jacot, Gabriel, Hongler. Neural Tangent Kernel. NeurIPS 2018,
        https://arxiv.org/abs/1806.07572
        Lee et al. Deep Neural Networks as Gaussian Processes. ICLR 2018,
        https://arxiv.org/abs/1711.00165
    """

    architecture: Architecture
    kind: Kind = "ntk"

    def __post_init__(self) -> None:
        if not isinstance(self.architecture, Architecture):
            raise ValueError(
                f"`architecture` must be an Architecture, got {self.architecture!r}; "
                "make one with fc, conv, convnet or myrtle"
            )
        if self.kind not in get_args(Kind):
            raise ValueError(f"`kind` must be one of {list(get_args(Kind))}, got {self.kind!r}")

    def to_json(self) -> str:
        """Return the spec as one line of JSON, the same for equal specs."""
        architecture = json.loads(self.architecture.to_json())
        return json.dumps({"kind": self.kind, "architecture": architecture}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "KernelSpec":
        """Read what `to_json` wrote.

        Raises:
            ValueError: if the text is not JSON, or is not a kernel's.
        """
        try:
            entries = json.loads(text)
            kind, architecture = entries["kind"], json.dumps(entries["architecture"])
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"not a kernel spec: {text[:200]!r} ({error})") from error
        return cls(Architecture.from_json(architecture), kind)
