"""The settings of `train`, as frozen dataclasses with flags. Nothing here imports JAX."""

import dataclasses

from stillhouse.data.siamese import ALL, KINDS, expected_kinds
from stillhouse.launch.settings.reading import TRANSFORM_HELP, ReadingConfig, transform_kind
from stillhouse.launch.settings.run import OutputConfig
from stillhouse.methods.network_options import NetworkOptions
from stillhouse.methods.options import Checked, at_least, not_negative, option, positive
from stillhouse.networks.objective import LOSSES

BASELINES = ("random", "kmeans", "average")


def _baselines(names: tuple[str, ...]) -> str | None:
    known = len(set(names)) == len(names) and set(names) <= set(BASELINES)
    return None if known or names == ("none",) else f"none, or some of {', '.join(BASELINES)}"


@dataclasses.dataclass(frozen=True)
class TrainDataConfig(Checked):
    """Data; what is not given is read from the file, where stillhouse made it.

    Attributes:
        dataset: whose test images to predict; None for the one that the set was distilled from.
        transform: fit this on the named dataset's training images; None for the set's own.
        baseline: sets of real images of the same size, to train on too.
    """

    dataset: str | None = option(
        None, "digits, a folder, or an .npz, whose test images are predicted"
    )
    transform: str | None = option(
        None,
        f"fit this one on the dataset's training images: {TRANSFORM_HELP}",
        check=transform_kind,
    )
    baseline: tuple[str, ...] = option(
        ("random",),
        "real sets of the same size to train on too: random,kmeans,average, or none",
        check=_baselines,
    )


@dataclasses.dataclass(frozen=True)
class DescentConfig(Checked):
    """Training.

    Attributes:
        steps: of gradient descent.
        loss: what is minimised.
        label_scale: how large labels are made for squared errors.
        learning_rate: at the first step; None for a share of the largest stable one.
        rate_factor: that share.
        momentum: of gradient descent.
        batch_size: images of a step.
        l2: weight of half the sum of squared weights.
        augment: what may happen to the images of a step.
        seeds: how many networks.
        seed: of the first one.
        eval_every: steps between predictions of the test images.
    """

    steps: int = option(1000, "steps of gradient descent", check=at_least(1))
    loss: str = option(
        "mse",
        "squared error of the labels, or cross entropy with their largest class",
        choices=LOSSES,
    )
    label_scale: float = option(
        4.0,
        "labels are made so many times as large as centred one-hot ones (mse), so that what a "
        "network answers before training counts for less",
        check=positive,
    )
    learning_rate: float | None = option(
        None,
        "at the first step, then falling to zero along a cosine (default: --rate_factor times the "
        "largest stable one)",
        check=positive,
    )
    rate_factor: float = option(
        0.25, "the learning rate, in units of the largest stable one", check=positive
    )
    momentum: float = option(
        0.9,
        "of gradient descent",
        check=lambda value: None if 0 <= value < 1 else "zero or more, and less than one",
    )
    batch_size: int = option(100, "images of a step, all where there are fewer", check=at_least(1))
    l2: float = option(1e-3, "weight of half the sum of all squared weights", check=not_negative)
    augment: tuple[str, ...] = option(
        (),
        f"{ALL}, to change the images of each step in one of these ways, or only in some of them: "
        f"{', '.join(KINDS)} (default: none)",
        check=expected_kinds,
    )
    seeds: int = option(5, "networks to train, each from its own seed", check=at_least(1))
    seed: int = option(0, "seed of the first one", check=at_least(0))
    eval_every: int = option(
        0, "steps between predictions of the test images; 0: only at the end", check=at_least(0)
    )


@dataclasses.dataclass(frozen=True)
class TrainOutputConfig(OutputConfig):
    """Output.

    Attributes:
        json: print one line of JSON.
        out: the folder for `train.json` and `train.png`; None for none.
    """

    out: str | None = option(None, "a folder for the result, train.json, and its curves, train.png")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """The settings of `train`; `file` is the distilled set."""

    file: str
    data: TrainDataConfig = TrainDataConfig()
    reading: ReadingConfig = ReadingConfig()
    network: NetworkOptions = NetworkOptions()
    descent: DescentConfig = DescentConfig()
    output: TrainOutputConfig = TrainOutputConfig()
