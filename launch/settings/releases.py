"""The settings of the commands that fetch and publish, as frozen dataclasses with flags."""

import dataclasses

from stillhouse.launch.settings.reading import ReadingConfig
from stillhouse.launch.settings.run import OutputConfig
from stillhouse.methods.options import Checked, at_least, option


@dataclasses.dataclass(frozen=True)
class FilterConfig(Checked):
    """Which sets; those that agree with all that is given.

    Attributes:
        architecture: column `architecture`.
        dataset_name: column `dataset`.
        ssize: column `ssize`.
        zca: column `zca`.
        learned: column `l`.
        augmented: column `aug`.
        ckpt: column `ckpt`.
        best: take the one with the highest accuracy.
        all: take all.
        list: show them, and fetch none.
    """

    architecture: str | None = option(None, "the network, such as ConvNet, ConvNet3 or FC1")
    dataset_name: str | None = option(None, "what it was distilled from, such as cifar10")
    ssize: int | None = option(None, "how many images it has", check=at_least(1))
    zca: bool | None = option(None, "whitened images, or with --nozca others")
    learned: bool | None = option(None, "learned labels, or with --nolearned fixed ones")
    augmented: bool | None = option(None, "learned from augmented images, or not")
    ckpt: int | None = option(None, "after how many steps", check=at_least(0))
    best: bool = option(False, "of these, the one with the highest stated test accuracy")
    all: bool = option(False, "all of these, where there are several")
    list: bool = option(False, "show these, and fetch none")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.best and self.all:
            raise ValueError("give `--best` or `--all`, not both")


@dataclasses.dataclass(frozen=True)
class ReleaseConfig(Checked):
    """Release.

    Attributes:
        dataset: whose training images give the transform again, where the set carries none.
        out: the file, or the folder.
        mirror: a copy of the published releases.
    """

    dataset: str | None = option(
        None,
        "digits, a folder, or an .npz, to which the transform of a published set is fitted again",
    )
    out: str = option(
        ".", "an .npz to write; or a folder, in which it becomes DATASET_NAME/NAME.npz"
    )
    mirror: str | None = option(
        None, "for kip and ls: URL or folder of a copy of storage.googleapis.com/kip-datasets"
    )


@dataclasses.dataclass(frozen=True)
class ReleaseReadingConfig(ReadingConfig):
    """Reading files.

    Attributes:
        max_bytes: how large a file may be.
    """

    max_bytes: int | None = option(
        None,
        "how large a file may be, downloaded and unpacked (default: 2 GiB, or what disk and memory "
        "have)",
        check=at_least(1),
    )


@dataclasses.dataclass(frozen=True)
class FetchConfig:
    """The settings of `fetch`; `source` is the release."""

    source: str
    filter: FilterConfig = FilterConfig()
    release: ReleaseConfig = ReleaseConfig()
    reading: ReleaseReadingConfig = ReleaseReadingConfig()
    output: OutputConfig = OutputConfig()

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self.reading):
            given = getattr(self.reading, field.name) is not None
            if given and field.name != "max_bytes" and self.release.dataset is None:
                raise ValueError(f"`--{field.name}` needs `--dataset` beside it")


@dataclasses.dataclass(frozen=True)
class PlaceConfig(Checked):
    """Where to.

    Attributes:
        to: the release.
        hub: a folder for the Hugging Face hub.
        name: of the set.
        license: of the set.
    """

    to: str | None = option(
        None, "the release: a folder, s3://... or gs://..., new or with sets in it"
    )
    hub: str | None = option(None, "a folder to be pushed to the Hugging Face hub as it is")
    name: str | None = option(
        None, "the set's name (default: such as FC1_ssize10_nozca_l_noaug_ckpt300)"
    )
    license: str = option("unknown", "as the Hugging Face hub calls it, such as cc-by-4.0")


@dataclasses.dataclass(frozen=True)
class PublishConfig:
    """The settings of `publish`; `file` is the distilled set."""

    file: str
    place: PlaceConfig = PlaceConfig()
    output: OutputConfig = OutputConfig()

    def __post_init__(self) -> None:
        if self.place.to is None and self.place.hub is None:
            raise ValueError("say where to: give --to=FOLDER, or --hub=FOLDER, or both")
