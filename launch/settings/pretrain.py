"""The settings of `pretrain`, as frozen dataclasses with flags. Nothing here imports JAX."""

import dataclasses
from typing import ClassVar

from stillhouse.launch.settings.reading import TRANSFORM_HELP, ReadingConfig, transform_kind
from stillhouse.launch.settings.run import WorkersConfig
from stillhouse.methods.network_options import NetworkOptions
from stillhouse.methods.options import Checked, at_least, not_negative, option, positive
from stillhouse.networks.objective import OPTIMISERS, Objective
from stillhouse.networks.training_spec import SCHEDULES, TrainingSpec

_RATES = {"adam": 0.002, "sgd": 0.01}
_EPOCH = "epoch"


def _share(value: float) -> str | None:
    return None if 0 < value <= 1 else "above 0 and up to 1"


def _interval(value: str) -> str | None:
    right = value == _EPOCH or (value.isascii() and value.isdigit() and int(value) > 0)
    return None if right else "epoch, or a number of steps"


@dataclasses.dataclass(frozen=True)
class PretrainDataConfig(Checked):
    """Data.

    Attributes:
        dataset: what the networks are trained on.
        transform: the kind of the transform through which they see images.
        fraction: the share of the images that each network gets.
        classes: names of the classes whose images they get; empty for all.
    """

    dataset: str = option(
        "digits",
        "digits, a folder of images, Parquet, IDX or CIFAR files, or an .npz of images and labels",
    )
    transform: str = option(
        "standardise",
        f"how pixels are normalised before the networks: {TRANSFORM_HELP}",
        check=transform_kind,
    )
    fraction: float = option(
        1.0,
        "the share of the training images that each network gets, drawn anew for every one, of "
        "each class alike",
        check=_share,
    )
    classes: tuple[str, ...] = option(
        (), "train and test on images of these classes alone, by their names, such as 3,5,8"
    )


@dataclasses.dataclass(frozen=True)
class TrainingConfig(Checked):
    """Training.

    Attributes:
        epochs: how often each image is met.
        batch_size: images of a step.
        optimiser: what turns gradients into steps.
        learning_rate: at the first step; None for the optimiser's own.
        schedule: what becomes of it.
        momentum: of gradient descent.
        l2: weight of half the sum of squared weights.
    """

    epochs: int = option(10, "how often each image is met", check=at_least(1))
    batch_size: int = option(128, "images of a step, all where there are fewer", check=at_least(1))
    optimiser: str = option("adam", "what turns gradients into steps", choices=OPTIMISERS)
    learning_rate: float | None = option(
        None, "at the first step (default: 0.002 for adam, 0.01 for sgd)", check=positive
    )
    schedule: str = option(
        "cosine", "let it fall to zero along a cosine, or stay", choices=SCHEDULES
    )
    momentum: float = option(
        0.9,
        "of gradient descent (sgd)",
        check=lambda value: None if 0 <= value < 1 else "zero or more, and less than one",
    )
    l2: float = option(0.0, "weight of half the sum of all squared weights", check=not_negative)


@dataclasses.dataclass(frozen=True)
class PoolConfig(Checked):
    """Pool.

    Attributes:
        out: the pool's folder.
        networks: how many there are.
        seed: of the first one.
        trajectories: keep the weights along the way too.
        every: how often.
    """

    out: str | None = option(None, "the pool's folder (default: pools/<dataset>-<network>)")
    networks: int = option(8, "networks to train, each from its own seed", check=at_least(1))
    seed: int = option(0, "seed of the first one; the others follow it", check=at_least(0))
    trajectories: bool = option(False, "keep the weights along the way too, from the start on")
    every: str = option(
        _EPOCH, "with --trajectories: keep them each epoch, or every so many steps", check=_interval
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.every != _EPOCH and not self.trajectories:
            raise ValueError("`--every` needs `--trajectories` beside it")

    @property
    def steps_between(self) -> int | None:
        """Steps between snapshots; 0 for one an epoch, None for none."""
        if not self.trajectories:
            return None
        return 0 if self.every == _EPOCH else int(self.every)


@dataclasses.dataclass(frozen=True)
class ThreadsConfig(Checked):
    """Computing.

    Attributes:
        threads: processor threads of each network; the last digits of the weights go with it.
    """

    threads: int = option(
        1,
        "processor threads of each network; its last digits go with their number, so that more "
        "--workers are better",
        check=at_least(1),
    )


@dataclasses.dataclass(frozen=True)
class TrainersConfig(WorkersConfig):
    """Engine."""

    loaders: ClassVar[int] = 0  # Every worker has all images.
    audit: ClassVar[float] = 0.0  # There are no steps that could be taken again.


@dataclasses.dataclass(frozen=True)
class PlanningConfig(Checked):
    """Planning.

    Attributes:
        plan: say what it would cost, and do nothing.
        json: print that as JSON.
    """

    plan: bool = option(False, "say what it would cost, from a few steps, and write nothing")
    json: bool = option(False, "with --plan: print one line of JSON")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.json and not self.plan:
            raise ValueError("`--json` needs `--plan` beside it")


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """The settings of `pretrain`, in groups."""

    data: PretrainDataConfig = PretrainDataConfig()
    reading: ReadingConfig = ReadingConfig()
    network: NetworkOptions = NetworkOptions()
    training: TrainingConfig = TrainingConfig()
    pool: PoolConfig = PoolConfig()
    compute: ThreadsConfig = ThreadsConfig()
    engine: TrainersConfig = TrainersConfig()
    planning: PlanningConfig = PlanningConfig()

    @property
    def training_spec(self) -> TrainingSpec:
        """How the networks are trained."""
        asked = self.training
        momentum = asked.momentum if asked.optimiser == "sgd" else 0.0
        return TrainingSpec(
            Objective("xent", asked.l2, asked.optimiser, momentum),
            asked.learning_rate or _RATES[asked.optimiser],
            asked.schedule,
            asked.batch_size,
            asked.epochs,
            self.data.fraction,
            self.pool.steps_between,
        )
