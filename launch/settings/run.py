"""The settings of a run, as frozen dataclasses whose fields are also its flags.

Nothing here imports JAX, so that `--help` answers at once.
"""

import dataclasses
import math

from stillhouse.kernels import BACKENDS
from stillhouse.launch.architectures import ARCHITECTURES, parse_ensemble
from stillhouse.launch.settings.options import Checked, at_least, not_negative, option, positive
from stillhouse.launch.settings.reading import TRANSFORM_HELP, ReadingConfig, transform_kind

METHODS = ("kip", "label_solve")
KERNELS = ("ntk", "nngp")
ENGINES = ("local", "launchpad", "ray")
INITIALISERS = ("real", "noise", "kmeans")


@dataclasses.dataclass(frozen=True)
class DataConfig(Checked):
    """Data.

    Attributes:
        dataset: `digits`, or the path of a folder or file, see `stillhouse.data.load_dataset`.
        transform: the kind of the transform through which the kernel sees images.
        augment: augment the target batches.
        flip: whether augmenting flips images left to right.
    """

    dataset: str = option(
        "digits",
        "digits, a folder of images, Parquet, IDX or CIFAR files, or an .npz of images and labels",
    )
    transform: str = option(
        "standardise",
        f"how pixels are normalised before the kernel: {TRANSFORM_HELP}",
        check=transform_kind,
    )
    augment: bool = option(False, "shift, rotate, flip and tint half of each target batch")
    flip: bool = option(True, "with --augment; --noflip for digits, letters and the like")


@dataclasses.dataclass(frozen=True)
class KernelConfig(Checked):
    """Kernel.

    Attributes:
        architecture: the family of the network.
        depth: its depth; None for the family's own.
        kernel: which limit of the network.
        W_std: standard deviation of all weights.
        b_std: standard deviation of all biases.
        global_pool: end a convolutional network with a global average.
        ensemble: `family:depth` of several networks, one sampled a step; empty for one network.
    """

    architecture: str = option("convnet", "the infinitely wide network", choices=ARCHITECTURES)
    depth: int | None = option(
        None, "its depth (default: 1 for fc, 5 for myrtle, 3 for the others)", check=at_least(1)
    )
    kernel: str = option("ntk", "its neural tangent kernel, or its NNGP kernel", choices=KERNELS)
    W_std: float = option(math.sqrt(2.0), "standard deviation of the weights", check=positive)
    b_std: float = option(0.1, "standard deviation of the biases", check=not_negative)
    global_pool: bool = option(False, "end with a global average pool (conv, convnet, convnet3)")
    ensemble: tuple[str, ...] = option(
        (), "sample one of these a step, such as convnet:3,conv:3,fc:2; the first one is evaluated"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_ensemble(self.ensemble)


@dataclasses.dataclass(frozen=True)
class SupportConfig(Checked):
    """Support set.

    Attributes:
        ipc: images per class.
        support_size: images in all, in place of `ipc`.
        init: what the images start as.
    """

    ipc: int = option(1, "images per class", check=at_least(1))
    support_size: int | None = option(
        None, "images in all, in place of --ipc; a multiple of the classes", check=at_least(1)
    )
    init: str = option(
        "real", "start from real images, noise, or k-means centres", choices=INITIALISERS
    )


@dataclasses.dataclass(frozen=True)
class MethodConfig(Checked):
    """Method.

    Attributes:
        method: what is learned, and how.
        steps: gradient steps of KIP.
        target_batch: images a step learns from; None for 1,000 or as many as there are.
        learning_rate: Adam's.
        decay: let it fall to zero over the run.
        learn_labels: learn the labels of the support set too.
        regularisation: the ridge as a share of the mean diagonal of K_ss.
        keep: which images the run ends with.
        seed: of everything random.
    """

    method: str = option(
        "kip",
        "learn images by gradient descent (kip), or labels in closed form (label_solve)",
        choices=METHODS,
    )
    steps: int = option(300, "gradient steps (kip)", check=at_least(1))
    target_batch: int | None = option(
        None,
        "real images a step learns from, as many of each class (default: 1000, or all there are)",
        check=at_least(1),
    )
    learning_rate: float = option(0.04, "learning rate of Adam (kip)", check=positive)
    decay: bool = option(False, "let it fall to zero over the run, along a cosine (kip)")
    learn_labels: bool = option(True, "learn the labels too; --nolearn_labels fixes them (kip)")
    regularisation: float = option(
        1e-6, "ridge, as a share of the kernel's mean diagonal", check=not_negative
    )
    keep: str = option(
        "last",
        "end with the last images, or with the best by a tenth of the training images that is held "
        "out, looked at every --eval_every steps (kip)",
        choices=("last", "best"),
    )
    seed: int = option(0, "seed of everything random", check=at_least(0))


@dataclasses.dataclass(frozen=True)
class ComputeConfig(Checked):
    """Computing.

    Attributes:
        backend: what computes kernels.
        threads: processor threads; None for all.
    """

    backend: str = option("auto", "what computes the kernels", choices=BACKENDS)
    threads: int | None = option(None, "processor threads (default: all cores)", check=at_least(1))


@dataclasses.dataclass(frozen=True)
class RunConfig(Checked):
    """Run.

    Attributes:
        out: the run folder; None for `runs/<dataset>-<method>-<architecture>-<images>`.
        checkpoint_every: steps between checkpoints.
        eval_every: steps between evaluations on the test images; 0 for the end only.
    """

    out: str | None = option(
        None,
        "the run folder (default: runs/<dataset>-<method>-<architecture>-<images>)",
    )
    checkpoint_every: int = option(
        50, "steps between checkpoints; one is due after five minutes too", check=at_least(1)
    )
    eval_every: int = option(
        50, "steps between evaluations on the test images; 0: only at the end", check=at_least(0)
    )


@dataclasses.dataclass(frozen=True)
class EngineConfig(Checked):
    """Engine.

    Attributes:
        engine: what computes the tasks.
        workers: how many processes do.
        loaders: processes that prepare target batches ahead of need, with Launchpad.
        ray_address: the Ray cluster; None for one of its own on this machine.
        heartbeat: seconds between the signs of life of a worker.
    """

    engine: str = option(
        "local",
        "who computes: this process, or --workers of them by Launchpad or by Ray",
        choices=ENGINES,
    )
    workers: int = option(1, "worker processes (launchpad, ray)", check=at_least(1))
    loaders: int = option(
        0, "processes that prepare target batches ahead of need (launchpad)", check=at_least(0)
    )
    ray_address: str | None = option(
        None, "the Ray cluster, such as auto or host:6379 (default: one on this machine)"
    )
    heartbeat: float = option(
        3.0, "seconds between a worker's signs of life; lost after two", check=positive
    )


@dataclasses.dataclass(frozen=True)
class DistillConfig:
    """The settings of a run, in groups."""

    data: DataConfig = DataConfig()
    reading: ReadingConfig = ReadingConfig()
    kernel: KernelConfig = KernelConfig()
    support: SupportConfig = SupportConfig()
    method: MethodConfig = MethodConfig()
    compute: ComputeConfig = ComputeConfig()
    engine: EngineConfig = EngineConfig()
    run: RunConfig = RunConfig()


@dataclasses.dataclass(frozen=True)
class OutputConfig(Checked):
    """Output.

    Attributes:
        json: print one line of JSON.
    """

    json: bool = option(False, "print one line of JSON")


@dataclasses.dataclass(frozen=True)
class PlanConfig(DistillConfig):
    """The settings of `plan`: those of the run that it plans."""

    output: OutputConfig = OutputConfig()


@dataclasses.dataclass(frozen=True)
class ListenConfig(Checked):
    """Server.

    Attributes:
        address: where workers find the server.
    """

    address: str = option("localhost:18400", "host:port at which workers find this server")


@dataclasses.dataclass(frozen=True)
class ServeConfig(DistillConfig):
    """The settings of `serve`: those of the run, and where it listens."""

    listen: ListenConfig = ListenConfig()
