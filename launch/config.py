"""The settings of every command, as frozen dataclasses whose fields are also its flags.

Nothing here imports JAX, so that `--help` answers at once.
"""

import dataclasses
import math

from stillhouse.kernels import BACKENDS
from stillhouse.launch.architectures import ARCHITECTURES, parse_ensemble
from stillhouse.launch.options import Checked, at_least, not_negative, option, positive

METHODS = ("kip", "label_solve")
KERNELS = ("ntk", "nngp")
ENGINES = ("local", "launchpad", "ray")
INITIALISERS = ("real", "noise", "kmeans")
TRANSFORMS = ("none", "standardise", "zca")


def _device(name: str) -> str | None:
    right = name == "cpu" or (name.startswith("gpu:") and name[4:].isdigit())
    return None if right else "cpu, or gpu: and a number, such as gpu:0"


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
        "digits", "digits, a folder of Parquet or IDX files, or an .npz of images and labels"
    )
    transform: str = option(
        "standardise", "how pixels are normalised before the kernel", choices=TRANSFORMS
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
        learn_labels: learn the labels of the support set too.
        regularisation: the ridge as a share of the mean diagonal of K_ss.
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
    learn_labels: bool = option(True, "learn the labels too; --nolearn_labels fixes them (kip)")
    regularisation: float = option(
        1e-6, "ridge, as a share of the kernel's mean diagonal", check=not_negative
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
        None, "the run folder (default: runs/<dataset>-<method>-<architecture>-<images>)"
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
        engine: what computes kernel blocks.
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
        None, "fit this one on the dataset's training images", choices=TRANSFORMS
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
class EvaluateConfig:
    """The settings of `evaluate`; `file` is the distilled set."""

    file: str
    set: SetConfig = SetConfig()
    compute: ComputeConfig = ComputeConfig()
    output: OutputConfig = OutputConfig()


@dataclasses.dataclass(frozen=True)
class PictureConfig(Checked):
    """Picture.

    Attributes:
        out: the file to write.
    """

    out: str = option("grid.png", "the picture to write: .png, .pdf or .svg")


@dataclasses.dataclass(frozen=True)
class ShowConfig:
    """The settings of `show`; `file` is the distilled set."""

    file: str
    picture: PictureConfig = PictureConfig()


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


@dataclasses.dataclass(frozen=True)
class WorkerOptions(Checked):
    """Worker.

    Attributes:
        server: the address of the server.
        device: what computes.
        threads: processor threads; None for all.
        max_idle: seconds.
    """

    server: str = option("localhost:18400", "host:port of the server")
    device: str = option("cpu", "what computes: cpu, or a GPU such as gpu:0", check=_device)
    threads: int | None = option(None, "processor threads (default: all cores)", check=at_least(1))
    max_idle: float = option(
        60.0, "seconds after which to end when the server does not answer", check=positive
    )


@dataclasses.dataclass(frozen=True)
class WorkerConfig:
    """The settings of `worker`."""

    worker: WorkerOptions = WorkerOptions()


@dataclasses.dataclass(frozen=True)
class StatusOptions(Checked):
    """Status.

    Attributes:
        server: the address of a server, in place of a run folder.
        watch: go on until the run ends.
        json: print JSON, a line each time.
    """

    server: str | None = option(None, "host:port of a server, in place of a run folder")
    watch: bool = option(False, "show it again every two seconds, until the run ends")
    json: bool = option(False, "print one line of JSON")


@dataclasses.dataclass(frozen=True)
class StatusConfig:
    """The settings of `status`; `file` is a run folder, or empty where a server is named."""

    file: str = ""
    status: StatusOptions = StatusOptions()


# Flags that take each other's place, and flags that only one method reads.
_EXCLUSIVE = (("ipc", "support_size"), ("architecture", "ensemble"), ("depth", "ensemble"))
_ENGINE_ONLY = {
    "workers": ("launchpad", "ray"),
    "loaders": ("launchpad",),
    "ray_address": ("ray",),
    "heartbeat": ("launchpad", "ray"),
}
_KIP_ONLY = ("steps", "learning_rate", "learn_labels", "augment", "ensemble")


def check_given(config: DistillConfig, given: frozenset[str]) -> None:
    """Check that the flags which were given make sense beside each other.

    Raises:
        ValueError: if two take each other's place, or one would be ignored.
    """
    for first, second in _EXCLUSIVE:
        if first in given and second in given:
            raise ValueError(f"`--{first}` and `--{second}` take each other's place; give one")
    if config.method.method == "label_solve":
        for name in _KIP_ONLY:
            if name in given:
                raise ValueError(f"`--{name}` has no meaning for --method=label_solve; drop it")
    if "flip" in given and not config.data.augment:
        raise ValueError("`--flip` has no meaning without --augment; drop it, or augment")
    _check_engine(config, given)


def _check_engine(config: DistillConfig, given: frozenset[str]) -> None:
    if isinstance(config, ServeConfig):
        for name in sorted(given & {"engine", *_ENGINE_ONLY} - {"heartbeat"}):
            raise ValueError(
                f"`--{name}` has no meaning for serve, whose workers come by themselves"
            )
        return
    for name, engines in _ENGINE_ONLY.items():
        if isinstance(config, PlanConfig) and name == "workers":
            continue  # It plans for as many, whatever starts them.
        if name in given and config.engine.engine not in engines:
            raise ValueError(
                f"`--{name}` has no meaning with --engine={config.engine.engine}, only with "
                f"{' or '.join(engines)}; drop it, or give that engine"
            )
    if config.engine.loaders and config.method.method == "label_solve":
        raise ValueError("`--loaders` has no meaning for --method=label_solve; drop it")
