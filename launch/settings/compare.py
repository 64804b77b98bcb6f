"""The settings of `compare`, as frozen dataclasses with flags. Nothing here imports JAX."""

import dataclasses

from stillhouse.data.siamese import ALL, KINDS, expected_kinds
from stillhouse.launch.report.kernels import parse_kernels
from stillhouse.launch.settings.reading import TRANSFORM_HELP, ReadingConfig, transform_kind
from stillhouse.launch.settings.run import ComputeConfig, OutputConfig
from stillhouse.methods.options import Checked, at_least, option, positive
from stillhouse.networks import NETWORKS, NetworkSpec

BASELINES = ("random", "kmeans", "average")


def _some_of(known: tuple[str, ...], names: tuple[str, ...]) -> str | None:
    right = len(set(names)) == len(names) and set(names) <= set(known)
    return None if right or names == ("none",) else f"none, or some of {', '.join(known)}"


@dataclasses.dataclass(frozen=True)
class CompareDataConfig(Checked):
    """Data.

    Attributes:
        dataset: whose test images are predicted; None for the one of the first set.
        transform: of sets that carry none; fitted on the training images.
        test_images: how many are predicted; 0 for all.
        baseline: real sets of the same sizes beside them.
    """

    dataset: str | None = option(
        None,
        "digits, a folder, or an .npz, whose test images are predicted (default: that of the first "
        "set)",
    )
    transform: str | None = option(
        None,
        f"for sets that carry none, fitted on the dataset's training images: {TRANSFORM_HELP}",
        check=transform_kind,
    )
    test_images: int = option(
        0, "test images to predict, as many of each class; 0: all", check=at_least(0)
    )
    baseline: tuple[str, ...] = option(
        ("random", "kmeans"),
        "real sets of the same sizes beside them: random,kmeans,average, or none",
        check=lambda names: _some_of(BASELINES, names),
    )


@dataclasses.dataclass(frozen=True)
class JudgesConfig(Checked):
    """Judges.

    Attributes:
        kernels: for kernel ridge regression.
        networks: families that are trained.
        width: of each; None for the published one.
        norm: behind their convolutions.
        steps: of training.
        learning_rate: at first; a tenth of it after half of the steps.
        augment: what may happen to the images of a step.
        seeds: networks of each family, and draws of random images.
        seed: of the first one.
    """

    kernels: tuple[str, ...] = option(
        ("fc:1",), "for kernel ridge regression, such as fc:1,convnet:3:nngp, or none"
    )
    networks: tuple[str, ...] = option(
        ("convnet", "mlp", "alexnet"),
        f"to train, some of {', '.join(NETWORKS)}, or none",
        check=lambda names: _some_of(NETWORKS, names),
    )
    width: int | None = option(
        None, "width of the networks (default: of each the published one)", check=at_least(1)
    )
    norm: str = option(
        "instance",
        "what normalises behind their convolutions",
        choices=("instance", "layer", "group", "none"),
    )
    steps: int = option(1000, "steps of training", check=at_least(1))
    learning_rate: float = option(
        0.01, "at first; a tenth of it after half of the steps", check=positive
    )
    augment: tuple[str, ...] = option(
        (),
        f"{ALL}, to change the images of each step in one of these ways, or only in some of them: "
        f"{', '.join(KINDS)} (default: none)",
        check=expected_kinds,
    )
    seeds: int = option(3, "networks of each family, and draws of random images", check=at_least(1))
    seed: int = option(0, "seed of the first one; those of the others follow it", check=at_least(0))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernels != ("none",):
            for kernel in parse_kernels(self.kernels):
                if kernel.family is None:
                    raise ValueError(
                        "`--kernels` must be the same for all sets, and own is each set's; name "
                        "them, such as fc:1,convnet:3"
                    )
        if {self.kernels, self.networks} <= {(), ("none",)}:
            raise ValueError("`--kernels` and `--networks` are both none: name one judge")
        if len(set(self.kernels)) < len(self.kernels):
            raise ValueError(f"`--kernels` must name each once, got {', '.join(self.kernels)}")

    def specs(self) -> dict[str, NetworkSpec]:
        """Return the networks by the names of their families."""
        found = {}
        for family in () if self.networks == ("none",) else self.networks:
            own = NetworkSpec(family)
            found[family] = NetworkSpec(
                family,
                width=None if own.width is None else self.width,
                norm=None if own.norm is None else self.norm,
                prepend=None if own.prepend is None else False,
            )
        return found


@dataclasses.dataclass(frozen=True)
class ComparisonConfig(OutputConfig):
    """Output.

    Attributes:
        json: print one line of JSON.
        out: the folder of the page, the tables and what was judged.
    """

    out: str = option(
        "comparison",
        "a folder for comparison.html, .json, .csv and judged.json, by which nothing is judged "
        "twice",
    )


@dataclasses.dataclass(frozen=True)
class CompareConfig:
    """The settings of `compare`; `files` are sets, run folders, or folders of these."""

    files: tuple[str, ...]
    data: CompareDataConfig = CompareDataConfig()
    reading: ReadingConfig = ReadingConfig()
    judges: JudgesConfig = JudgesConfig()
    compute: ComputeConfig = ComputeConfig()
    output: ComparisonConfig = ComparisonConfig()
