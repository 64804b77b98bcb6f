"""What a report is about: a set, the data that belong to it, and what is missing of them."""

import dataclasses
from pathlib import Path

import numpy as np

from stillhouse.analysis.report import LeftOut
from stillhouse.data.dataset import Dataset
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.recipes import Recipe, StepsRecipe, TrainingRecipe
from stillhouse.data.transforms import Transform
from stillhouse.kernels.spec import KernelSpec
from stillhouse.launch.errors import one_line
from stillhouse.launch.first_support import first_support
from stillhouse.launch.report.commands import report_command
from stillhouse.launch.sets import dataset_for, is_own, kernel_for, load_set, transform_for
from stillhouse.launch.settings.report import ReportConfig
from stillhouse.launch.settings.run import INITIALISERS

# Of a k-means that would be made again for its pictures: multiply-adds of about 20 seconds.
_MOST_WORK = 1e11
_KMEANS_ROUNDS = 80


@dataclasses.dataclass(frozen=True, eq=False)
class Real:
    """The images that a set stands for.

    Attributes:
        dataset: the dataset.
        transform: brings its images into the kernel's space.
        source: its name or path.
    """

    dataset: Dataset
    transform: Transform
    source: str


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """What a report is about.

    Attributes:
        name: what the page calls it.
        distilled: the set, with the transform by which its images are shown.
        class_names: of the label columns.
        pixel_range: the scale of real pixels; None where it is not known.
        real: the real images, or why they are missing.
        kernel: the set's own; None where it is not known.
        before: the images that the run started from, in the kernel's space, or why they are
            missing.
        notes: what a reader should know before anything else.
    """

    name: str
    distilled: DistilledSet
    class_names: tuple[str, ...]
    pixel_range: tuple[float, float] | None
    real: Real | LeftOut
    kernel: KernelSpec | None
    before: np.ndarray | LeftOut
    notes: tuple[str, ...]


def read_subject(config: ReportConfig) -> Subject:
    """Read the set and what belongs to it.

    A dataset that is not asked for may be missing; so may all that a file does not say.

    Raises:
        ValueError: if the set is damaged, or does not fit what is asked for.
        OSError: if a file cannot be read.
    """
    file, asked = config.file, config.set
    distilled = load_set(file, config.reading.max_bytes)
    card = distilled.card
    if asked.transform is not None and asked.dataset is None:
        raise ValueError("`--transform` needs `--dataset` beside it, to be fitted on its images")
    notes = []
    real = _real(config, distilled)
    if isinstance(real, Real) and card is not None and not is_own(distilled, real.dataset):
        notes.append(
            f"{real.source} holds other data than those that the set was distilled from "
            f"({card.dataset.name}): its scores here need not be those of the card."
        )
    kernel = None
    meant_for_networks = isinstance(_recipe(distilled), StepsRecipe | TrainingRecipe)
    if asked.architecture is not None or (card is not None and not meant_for_networks):
        try:
            kernel = kernel_for(asked, file, distilled)
        except ValueError as error:
            if asked.architecture is not None:
                raise
            notes.append(f"The set's own kernel cannot be computed here: {one_line(error)}.")
    shown = distilled
    if distilled.transform is None and isinstance(real, Real):
        shown = dataclasses.replace(distilled, transform=real.transform)
    return Subject(
        name=_name(file),
        distilled=shown,
        class_names=_class_names(shown, real),
        pixel_range=_pixel_range(shown, real),
        real=real,
        kernel=kernel,
        before=_before(config, shown, real),
        notes=tuple(notes),
    )


def _recipe(distilled: DistilledSet) -> Recipe | None:
    return None if distilled.card is None else distilled.card.recipe


def _real(config: ReportConfig, distilled: DistilledSet) -> Real | LeftOut:
    try:
        dataset = dataset_for(config.set, config.file, distilled, config.reading)
        transform = transform_for(config.set, config.file, distilled, dataset)
    except (ValueError, OSError) as error:
        if config.set.dataset is not None:
            raise
        return LeftOut(
            f"This needs real images, and they are missing: {one_line(error)}. With the name or "
            "path of the dataset:",
            report_command(config, dataset="DATASET"),
        )
    source = config.set.dataset
    if source is None:
        assert distilled.card is not None  # It named the dataset.
        source = str(distilled.card.config["dataset"])
    return Real(dataset, transform, source)


def _before(
    config: ReportConfig, distilled: DistilledSet, real: Real | LeftOut
) -> np.ndarray | LeftOut:
    """Return the images that the run started from, made again as the run made them."""
    card, transform = distilled.card, distilled.transform
    if card is None or not {"init", "support_size"} <= card.config.keys() or card.seed is None:
        return LeftOut("The file does not say which images its run started from.")
    if card.config.get("keep", "last") != "last":
        return LeftOut("The images that the run started from were drawn without those held out.")
    init, size = str(card.config["init"]), len(distilled.images)
    if init not in INITIALISERS:
        return LeftOut("The run started from another set.")
    if isinstance(real, LeftOut):
        return LeftOut(
            "The images that the run started from can be made again where the dataset is:",
            report_command(config, dataset="DATASET"),
        )
    if (
        transform is None
        or not is_own(distilled, real.dataset)
        or card.config["support_size"] != size
    ):
        return LeftOut(
            "The images that the run started from were drawn from other data than these, and "
            "cannot be made again."
        )
    per_class = size // real.dataset.num_classes
    work = real.dataset.x_train.size * per_class * _KMEANS_ROUNDS
    if init == "kmeans" and work > _MOST_WORK:
        return LeftOut("The k-means centres that the run started from would take too long here.")
    try:
        return first_support(init, size, real.dataset, transform, card.seed)[0]
    except ValueError as error:
        return LeftOut(f"The images that the run started from are missing: {one_line(error)}.")


def _name(file: str) -> str:
    path = Path(file).expanduser().resolve()
    return path.parent.name if path.name == "distilled.npz" else path.name


def _class_names(distilled: DistilledSet, real: Real | LeftOut) -> tuple[str, ...]:
    if distilled.card is not None:
        return distilled.card.dataset.class_names
    if isinstance(real, Real):
        return real.dataset.class_names
    return tuple(str(i) for i in range(distilled.num_classes))


def _pixel_range(distilled: DistilledSet, real: Real | LeftOut) -> tuple[float, float] | None:
    if distilled.transform is None:
        return None  # The pixels are not those of the dataset.
    if distilled.card is not None:
        return distilled.card.dataset.pixel_range
    return real.dataset.pixel_range if isinstance(real, Real) else None
