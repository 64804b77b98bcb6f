"""The settings of `report`, as frozen dataclasses with flags."""

import dataclasses

from stillhouse.launch.report.kernels import parse_kernels
from stillhouse.launch.settings.reading import ReadingConfig
from stillhouse.launch.settings.run import ComputeConfig
from stillhouse.launch.settings.sets import SetConfig
from stillhouse.methods.options import Checked, at_least, option, positive
from stillhouse.networks import NETWORKS


@dataclasses.dataclass(frozen=True)
class PageConfig(Checked):
    """Report.

    Attributes:
        out: the page; None for `report.html`, in the run folder if there is one.
        kernels: to score the set under, whatever that takes; empty for those there is time for.
        seconds: how long these may take, without `kernels`.
        test_images: how many test images are predicted; 0 for all.
    """

    out: str | None = option(
        None, "the page to write, .html (default: report.html, in a run folder if one is given)"
    )
    kernels: tuple[str, ...] = option(
        (),
        "score under these, however long it takes, such as own,own:nngp,fc:1,conv:3:ntk "
        "(default: a choice, as far as --seconds reach)",
    )
    seconds: float = option(
        12.0, "time for the kernels, without --kernels; what it leaves out is named", check=positive
    )
    test_images: int = option(
        1000, "test images to predict, as many of each class; 0: all", check=at_least(0)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_kernels(self.kernels)
        if self.out is not None and not self.out.endswith(".html"):
            raise ValueError(f"`--out` must be a page that ends in .html, got {self.out!r}")


@dataclasses.dataclass(frozen=True)
class NetworksConfig(Checked):
    """Finite networks.

    Attributes:
        train: train them.
        network: their family.
        width: channels of the first convolution, or units of the hidden layers.
        train_steps: of gradient descent.
        seeds: how many are trained on each set.
    """

    train: bool = option(
        False, "train them on the set and on the sets beside it; this can take many minutes"
    )
    network: str = option("convnet", "their family, as of stillhouse train", choices=NETWORKS)
    width: int | None = option(
        None,
        "channels of the first convolution, or units of a hidden layer (default: as published)",
        check=at_least(1),
    )
    train_steps: int = option(1000, "steps of gradient descent", check=at_least(1))
    seeds: int = option(3, "how many networks are trained on each set", check=at_least(1))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.train:
            return
        for field in dataclasses.fields(self):
            if getattr(self, field.name) != field.default:
                raise ValueError(f"`--{field.name}` needs `--train` beside it")


@dataclasses.dataclass(frozen=True)
class ReportConfig:
    """The settings of `report`; `file` is a run folder or a distilled set."""

    file: str
    page: PageConfig = PageConfig()
    networks: NetworksConfig = NetworksConfig()
    set: SetConfig = SetConfig()
    reading: ReadingConfig = ReadingConfig()
    compute: ComputeConfig = ComputeConfig()
