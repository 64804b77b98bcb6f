"""The settings of a run, as frozen dataclasses whose fields are also its flags.

Nothing here imports JAX, so that `--help` answers at once.
"""

import dataclasses
from typing import cast

from stillhouse.kernels import BACKENDS
from stillhouse.launch.settings.reading import TRANSFORM_HELP, ReadingConfig, transform_kind
from stillhouse.launch.settings.transport import TransportConfig
from stillhouse.methods.method import Method
from stillhouse.methods.options import Checked, at_least, option, positive, seconds, share
from stillhouse.methods.registry import METHODS

ENGINES = ("local", "launchpad", "ray")
INITIALISERS = ("real", "noise", "kmeans")


@dataclasses.dataclass(frozen=True)
class DataConfig(Checked):
    """Data.

    Attributes:
        dataset: `digits`, or the path of a folder or file, see `stillhouse.data.load_dataset`.
        transform: the kind of the transform through which images are seen.
    """

    dataset: str = option(
        "digits",
        "digits, a folder of images, Parquet, IDX or CIFAR files, or an .npz of images and labels",
    )
    transform: str = option(
        "standardise",
        f"how pixels are normalised before all else: {TRANSFORM_HELP}",
        check=transform_kind,
    )


@dataclasses.dataclass(frozen=True)
class SupportConfig(Checked):
    """Support set.

    Attributes:
        ipc: images per class.
        support_size: images in all, in place of `ipc`.
        init: what the images start as: one of `INITIALISERS`, or the file or run folder of a set.
    """

    ipc: int = option(1, "images per class", check=at_least(1))
    support_size: int | None = option(
        None, "images in all, in place of --ipc; a multiple of the classes", check=at_least(1)
    )
    init: str = option(
        "real",
        "start from real images, noise, or kmeans centres, or from a distilled set: its file or "
        "run folder",
    )

    @property
    def starting_set(self) -> str | None:
        """The file or folder of the set that a run starts from; None where it is no set."""
        return None if self.init in INITIALISERS else self.init


@dataclasses.dataclass(frozen=True)
class MethodConfig(Checked):
    """Method.

    Attributes:
        method: what is learned, and how; its own settings are those of `Method`.
        seed: of everything random.
    """

    method: str = option(
        "kip",
        "; ".join(f"{method.about} ({name})" for name, method in METHODS.items()),
        choices=METHODS,
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
    threads: int | None = option(
        None,
        "processor threads (default: all cores; 1 for methods that learn through networks, whose "
        "last digits go with it)",
        check=at_least(1),
    )


@dataclasses.dataclass(frozen=True)
class RunConfig(Checked):
    """Run.

    Attributes:
        out: the run folder; None for `runs/<dataset>-<method>-<network>-<images>`.
        checkpoint_every: steps between checkpoints.
        eval_every: steps between evaluations on the test images; 0 for the end only, None for
            what the method says.
    """

    out: str | None = option(
        None,
        "the run folder (default: runs/<dataset>-<method>-<network>-<images>)",
    )
    checkpoint_every: int = option(
        50, "steps between checkpoints; one is due after five minutes too", check=at_least(1)
    )
    eval_every: int | None = option(
        None,
        "steps between evaluations on the test images; 0: only at the end (default: 50, and 0 for "
        "methods whose sets are evaluated by training networks)",
        check=at_least(0),
    )


def _port(number: int) -> str | None:
    return None if 1 <= number <= 65535 else "a port, 1 to 65535"


@dataclasses.dataclass(frozen=True)
class WorkersConfig(Checked):
    """Engine.

    Attributes:
        engine: what computes the tasks.
        workers: how many processes do.
        ray_address: the Ray cluster; None for one of its own on this machine.
        heartbeat: seconds between the signs of life of a worker.
        any_device: let backends and models of devices differ.
        task_limit: seconds that a task may take; None for what is usual, many times over.
        max_lonely: seconds without any worker; None for ever.
        metrics_port: where Prometheus is answered; None for nowhere.
        metrics_address: the interface of that port.
    """

    engine: str = option(
        "local",
        "who computes: this process, or --workers of them by Launchpad or by Ray",
        choices=ENGINES,
    )
    workers: int = option(1, "worker processes (launchpad, ray)", check=at_least(1))
    ray_address: str | None = option(
        None, "the Ray cluster, such as auto or host:6379 (default: one on this machine)"
    )
    heartbeat: float = option(
        3.0, "seconds between a worker's signs of life; lost after two", check=positive
    )
    any_device: bool = option(
        False,
        "let workers of other backends and models of devices in, though the result can then not be "
        "repeated to the bit",
    )
    task_limit: float | None = option(
        None,
        "seconds after which a worker that does not come back from a task is set aside (default: "
        "30 times what others take and at least 5 min; 6 h where none has come back yet)",
        check=seconds,
    )
    max_lonely: float | None = option(
        None,
        "seconds after which to save and end, with exit code 75, where no worker is there "
        "(default: wait for ever)",
        check=seconds,
    )
    metrics_port: int | None = option(
        None, "a port at which Prometheus may ask how the run is doing (default: none)", check=_port
    )
    metrics_address: str = option(
        "localhost", "the interface of that port; 0.0.0.0 for all, which anybody may then read"
    )


@dataclasses.dataclass(frozen=True)
class EngineConfig(WorkersConfig):
    """Engine.

    Attributes:
        loaders: processes that prepare target batches ahead of need, with Launchpad.
        audit: the share of the tasks that two workers compute.
    """

    loaders: int = option(
        0, "processes that prepare target batches ahead of need (launchpad)", check=at_least(0)
    )
    audit: float = option(
        0.0,
        "the share of the tasks, from 0 to 1, whose result two workers must agree on to the bit; "
        "where they differ a third decides, and who is wrong gets no more tasks",
        check=share,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.audit and self.any_device:
            raise ValueError(
                "`--audit` compares bits, which differ between the devices that `--any_device` "
                "lets in; leave one of them out"
            )


@dataclasses.dataclass(frozen=True)
class DistillConfig:
    """The settings of a run, in groups; `own` are those of its method, None for its defaults."""

    data: DataConfig = DataConfig()
    reading: ReadingConfig = ReadingConfig()
    support: SupportConfig = SupportConfig()
    method: MethodConfig = MethodConfig()
    own: Method = None  # type: ignore[assignment] # `__post_init__` sees to it.
    compute: ComputeConfig = ComputeConfig()
    engine: EngineConfig = EngineConfig()
    run: RunConfig = RunConfig()

    def __post_init__(self) -> None:
        method = METHODS[self.method.method]
        if cast("Method | None", self.own) is None:
            object.__setattr__(self, "own", method())
        if type(self.own) is not method:
            raise ValueError(
                f"`own` must be the settings of {self.method.method}, {method.__name__}, got "
                f"{type(self.own).__name__}"
            )
        self._check_audit()
        if self.compute.threads is None and self.own.threads is not None:
            threads = dataclasses.replace(self.compute, threads=self.own.threads)
            object.__setattr__(self, "compute", threads)
        if self.run.eval_every is None:
            run = dataclasses.replace(self.run, eval_every=self.own.eval_every)
            object.__setattr__(self, "run", run)

    def _check_audit(self) -> None:
        engine = self.engine
        if engine.audit and (engine.engine == "local" or engine.workers < 2):
            raise ValueError(
                "`--audit` compares the results of two workers, and here is one; give "
                "--engine=launchpad or ray with --workers of 2 or more, better 3, or use serve"
            )


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

    def _check_audit(self) -> None:
        if self.engine.audit and self.engine.workers < 2:
            raise ValueError("`--audit` compares the results of two workers: give --workers too")


@dataclasses.dataclass(frozen=True)
class ListenConfig(Checked):
    """Server.

    Attributes:
        address: where the server listens, and nowhere else; Courier listens everywhere.
    """

    address: str = option(
        "localhost:18400",
        "host:port at which to listen for workers; 0.0.0.0:18400 for all interfaces",
    )


@dataclasses.dataclass(frozen=True)
class ServeConfig(DistillConfig):
    """The settings of `serve`: those of the run, and where it listens."""

    listen: ListenConfig = ListenConfig()
    transport: TransportConfig = TransportConfig()

    def _check_audit(self) -> None:
        """Workers come later: that there is one alone the log says then."""
