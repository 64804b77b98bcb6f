"""The settings of `study`, as frozen dataclasses with flags. Nothing here imports JAX."""

import dataclasses

from stillhouse.analysis.studies.catalogue import STUDIES
from stillhouse.analysis.studies.sizes import StudySizes
from stillhouse.launch.settings.pretrain import ThreadsConfig, TrainersConfig
from stillhouse.launch.settings.reading import TRANSFORM_HELP, ReadingConfig, transform_kind
from stillhouse.methods.near import nearest
from stillhouse.methods.options import Checked, at_least, option


def _studies(names: tuple[str, ...]) -> str | None:
    unknown = [name for name in names if name not in STUDIES]
    if unknown:
        near = nearest(unknown[0], STUDIES)
        meant = f"; by {unknown[0]}, did you mean {near}?" if near else ""
        return f"some of {', '.join(STUDIES)}{meant}"
    return None if len(set(names)) == len(names) else "each study once"


@dataclasses.dataclass(frozen=True)
class StudyDataConfig(Checked):
    """Studies.

    Attributes:
        dataset: the real images; None for those of the first set.
        transform: of sets that carry none; fitted on the training images.
        pool: folders of networks trained on them.
        only: some of the studies; empty for all.
        seed: of what is drawn, and of the first network that is trained.
        out: the folder of the page and the tables.
    """

    dataset: str | None = option(
        None, "digits, a folder, or an .npz of real images (default: those of the first set)"
    )
    transform: str | None = option(
        None,
        f"for sets that carry none, fitted on the dataset's training images: {TRANSFORM_HELP}",
        check=transform_kind,
    )
    pool: tuple[str, ...] = option(
        (),
        "folders of networks that pretrain trained on these images, such as "
        "pools/convnet,pools/mlp; networks that are trained here are like those of the first",
    )
    only: tuple[str, ...] = option(
        (), f"some of {', '.join(STUDIES)} (default: all)", check=_studies
    )
    seed: int = option(
        0, "seed of what is drawn, and of the first network that is trained", check=at_least(0)
    )
    out: str = option(
        "study",
        "a folder for study.html and a JSON file for each study, by which none is made twice",
    )


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """The settings of `study`; `files` are sets, run folders, or folders of these."""

    files: tuple[str, ...]
    data: StudyDataConfig = StudyDataConfig()
    reading: ReadingConfig = ReadingConfig()
    sizes: StudySizes = StudySizes()
    compute: ThreadsConfig = ThreadsConfig()
    engine: TrainersConfig = TrainersConfig()
