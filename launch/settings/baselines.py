"""The settings of `baselines`, as frozen dataclasses with flags. Nothing here imports JAX."""

import dataclasses
import math

from stillhouse.launch.settings.reading import ReadingConfig
from stillhouse.launch.settings.run import DataConfig, OutputConfig
from stillhouse.methods.network_options import NetworkOptions
from stillhouse.methods.options import Checked, at_least, option
from stillhouse.networks import NETWORKS

KINDS = ("random", "optimised", "kmeans", "average")


def _kinds(names: tuple[str, ...]) -> str | None:
    right = names and len(set(names)) == len(names) and set(names) <= set(KINDS)
    return None if right else f"some of {', '.join(KINDS)}"


def _rates(texts: tuple[str, ...]) -> str | None:
    try:
        right = bool(texts) and all(0 < float(text) < math.inf for text in texts)
    except ValueError:
        right = False
    return None if right else "positive numbers, such as 0.02,0.1"


@dataclasses.dataclass(frozen=True)
class BaselinesNetworkConfig(NetworkOptions):
    """Network."""

    network: str = option("lenet", "the network", choices=NETWORKS)


@dataclasses.dataclass(frozen=True)
class StepsConfig(Checked):
    """Steps.

    Attributes:
        ipc: images of each class in a step.
        distill_steps: steps of an epoch, each on images of its own.
        distill_epochs: how often these are gone through.
        rates: learning rates to choose from.
        kinds: which sets.
        draws: how many sets and networks are tested.
        candidates: random sets of which the best is taken for "optimised".
        pool: networks to start from; None for random weights.
        seed: of everything random.
        threads: processor threads.
    """

    ipc: int = option(1, "images of each class in a step", check=at_least(1))
    distill_steps: int = option(10, "steps, each on images of its own", check=at_least(1))
    distill_epochs: int = option(3, "how often these are gone through", check=at_least(1))
    rates: tuple[str, ...] = option(
        ("0.01", "0.02", "0.05", "0.1", "0.2"),
        "learning rates, of which the best on held-out training images is taken",
        check=_rates,
    )
    kinds: tuple[str, ...] = option(
        KINDS,
        "random real images, the best of many such sets (optimised), k-means centres, class "
        "averages",
        check=_kinds,
    )
    draws: int = option(10, "sets, and networks, that are tested", check=at_least(1))
    candidates: int = option(
        20, "random sets of which the best is taken for optimised", check=at_least(1)
    )
    pool: str | None = option(
        None, "a pool whose networks the steps start from (default: random weights)"
    )
    seed: int = option(0, "seed of everything random", check=at_least(0))
    threads: int = option(1, "processor threads", check=at_least(1))


@dataclasses.dataclass(frozen=True)
class BaselinesConfig:
    """The settings of `baselines`."""

    data: DataConfig = DataConfig()
    reading: ReadingConfig = ReadingConfig()
    network: BaselinesNetworkConfig = BaselinesNetworkConfig()
    steps: StepsConfig = StepsConfig()
    output: OutputConfig = OutputConfig()
