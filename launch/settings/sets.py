"""The settings of the commands that take a distilled set, as frozen dataclasses with flags."""

import dataclasses

from stillhouse.launch.settings.reading import TRANSFORM_HELP, ReadingConfig, transform_kind
from stillhouse.launch.settings.run import ComputeConfig, OutputConfig
from stillhouse.methods.architectures import ARCHITECTURES
from stillhouse.methods.kernel_regression.kernel_settings import KERNELS
from stillhouse.methods.options import Checked, at_least, not_negative, option, positive


@dataclasses.dataclass(frozen=True)
class SetConfig(Checked):
    """Set; what is not given is read from the file, where stillhouse made it.

    Attributes:
        dataset: whose test images to predict; None for the one that the set was distilled from.
        transform: fit this on the named dataset's training images; None for the set's own.
        architecture: the network's family; None for the set's own network.
        depth: its depth; None for the family's own.
        kernel: which limit of the network; None for the set's own.
        W_std: standard deviation of all weights; None for the family's own.
        b_std: standard deviation of all biases; None for the family's own.
        global_pool: end a convolutional network with a global average.
        regularisation: the ridge; None for the set's own.
    """

    dataset: str | None = option(
        None, "digits, a folder, or an .npz, whose test images are predicted"
    )
    transform: str | None = option(
        None,
        f"fit this one on the dataset's training images: {TRANSFORM_HELP}",
        check=transform_kind,
    )
    architecture: str | None = option(None, "the infinitely wide network", choices=ARCHITECTURES)
    depth: int | None = option(None, "its depth, with --architecture", check=at_least(1))
    kernel: str | None = option(None, "its NTK, or its NNGP kernel", choices=KERNELS)
    W_std: float | None = option(
        None, "standard deviation of the weights, with --architecture", check=positive
    )
    b_std: float | None = option(
        None, "standard deviation of the biases, with --architecture", check=not_negative
    )
    global_pool: bool = option(False, "end with a global average pool, with --architecture")
    regularisation: float | None = option(
        None, "ridge, as a share of the kernel's mean diagonal", check=not_negative
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("depth", "W_std", "b_std", "global_pool"):
            value = getattr(self, name)
            if self.architecture is None and value is not None and value is not False:
                raise ValueError(f"`--{name}` needs `--architecture` beside it")


@dataclasses.dataclass(frozen=True)
class RecipeConfig(Checked):
    """Recipe, where it is one for finite networks.

    Attributes:
        networks: how many are trained, where they start from random weights.
        seed: of the first one's weights; those of the others follow it.
        pool: the folder of the pool that the recipe names.
        weights: the file of weights that it names.
        steps: of ordinary training; None for the recipe's own.
        width: of the network; None for the recipe's own.
    """

    networks: int = option(
        5, "networks to train, from random weights or those of a pool", check=at_least(1)
    )
    seed: int = option(0, "seed of the first one; those of the others follow it", check=at_least(0))
    pool: str | None = option(
        None, "the pool whose networks the recipe starts from (default: where the run had it)"
    )
    weights: str | None = option(
        None, "the file of weights that the recipe starts from (default: where the run had it)"
    )
    steps: int | None = option(
        None,
        "steps of ordinary training, for a quicker look (default: the recipe's own)",
        check=at_least(1),
    )
    width: int | None = option(
        None,
        "width of the network that is trained, for a quicker look (default: the recipe's own)",
        check=at_least(1),
    )


@dataclasses.dataclass(frozen=True)
class EstimateConfig(Checked):
    """Estimate.

    Attributes:
        approximate: random networks by whose features the kernel is estimated; None for the exact
            kernel.
    """

    approximate: int | None = option(
        None,
        "estimate the NNGP kernel by random features of so many networks of width 32, such as 100, "
        "for sets of thousands (default: the exact kernel)",
        check=at_least(1),
    )


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """The settings of `evaluate`; `file` is the distilled set."""

    file: str
    set: SetConfig = SetConfig()
    reading: ReadingConfig = ReadingConfig()
    recipe: RecipeConfig = RecipeConfig()
    estimate: EstimateConfig = EstimateConfig()
    compute: ComputeConfig = ComputeConfig()
    output: OutputConfig = OutputConfig()


@dataclasses.dataclass(frozen=True)
class PictureConfig(Checked):
    """Picture.

    Attributes:
        out: the file to write.
        max_bytes: what the set's file may unpack to.
    """

    out: str = option("grid.png", "the picture to write: .png, .pdf or .svg")
    max_bytes: int | None = option(
        None,
        "what the set's file may unpack to (default: fifty times its size)",
        check=at_least(1),
    )


@dataclasses.dataclass(frozen=True)
class ShowConfig:
    """The settings of `show`; `file` is the distilled set."""

    file: str
    picture: PictureConfig = PictureConfig()
