"""The commands: what each is called, what it says of itself, and where its code is."""

import dataclasses

from stillhouse.launch.config import DistillConfig, PlanConfig, ServeConfig
from stillhouse.launch.set_config import EvaluateConfig, ShowConfig
from stillhouse.launch.worker_config import StatusConfig, WorkerConfig


@dataclasses.dataclass(frozen=True)
class Command:
    """A command of `stillhouse`.

    Attributes:
        name: what it is called; its code is `run` of the module of that name in this package.
        config: the class of its settings.
        arguments: what comes behind its name.
        summary: one line for the list of commands.
        about: what it does, for its `--help`.
        examples: commands that work.
    """

    name: str
    config: type
    arguments: str
    summary: str
    about: str
    examples: tuple[str, ...]


_DISTILL = Command(
    "distill",
    DistillConfig,
    "[--flag=value ...]",
    "learn a small synthetic set from a dataset",
    "Learns a few synthetic images and labels from which kernel ridge regression predicts the "
    "whole dataset, and leaves them in a run folder with their picture, scores and curves. "
    "Interrupted and started again with the same flags, it goes on where it was.",
    (
        "stillhouse distill --dataset=digits --ipc=1 --steps=300 --out=runs/digits",
        "stillhouse distill --dataset=data/mnist --architecture=fc --depth=1 --out=runs/mnist",
        "stillhouse distill --dataset=mine.npz --method=label_solve --ipc=10 --transform=zca",
    ),
)

_PLAN = Command(
    "plan",
    PlanConfig,
    "[--flag=value ...]",
    "say what a run would cost: kernel elements, memory, time",
    "Takes the flags of distill and says what that run would cost, from the sizes and from a few "
    "seconds of calibration on this machine. Nothing is written.",
    (
        "stillhouse plan --dataset=digits --ipc=1 --steps=300",
        "stillhouse plan --dataset=data/cifar10 --ipc=10 --target_batch=5000 --json",
        "stillhouse plan --dataset=data/cifar10 --ipc=50 --target_batch=5000 --workers=256",
    ),
)

_EVALUATE = Command(
    "evaluate",
    EvaluateConfig,
    "FILE [--flag=value ...]",
    "score a distilled set on a dataset's test images",
    "Prints the test accuracy and mean squared error of kernel ridge regression on the set. A "
    "set from distill carries its network, transform and dataset; for any other .npz with "
    "images and labels name them by --dataset, --architecture and --transform.",
    (
        "stillhouse evaluate runs/digits/distilled.npz",
        "stillhouse evaluate runs/digits/distilled.npz --dataset=digits --kernel=nngp --json",
        "stillhouse evaluate kip.npz --dataset=data/cifar10 --architecture=convnet --transform=zca",
    ),
)

_SHOW = Command(
    "show",
    ShowConfig,
    "FILE [--flag=value ...]",
    "draw a distilled set: its images and labels",
    "Draws every image of the set in its original colours, with its label as bars.",
    (
        "stillhouse show runs/digits/distilled.npz",
        "stillhouse show runs/digits/distilled.npz --out=digits.pdf",
    ),
)

_SERVE = Command(
    "serve",
    ServeConfig,
    "--address=host:port [--flag=value ...]",
    "distil with workers that come and go",
    "Takes the flags of distill and leaves the same run folder, but lets every kernel block be "
    "computed by the workers that connect to its address. Workers may come, go and die at any "
    "time; the result is the same to the bit. Ended in any way and started again with the same "
    "flags, it goes on where it was, and its workers with it.",
    (
        "stillhouse serve --address=localhost:18400 --dataset=digits --out=runs/digits",
        "stillhouse serve --address=node1:18400 --dataset=data/cifar10 --ipc=50 --backend=xla",
    ),
)

_WORKER = Command(
    "worker",
    WorkerConfig,
    "--server=host:port [--flag=value ...]",
    "compute kernel blocks for a server",
    "Asks the server for kernel blocks, computes them and hands them back, until the run ends or "
    "the server has not answered for --max_idle seconds. Needs no dataset and no folder. Start "
    "one for each GPU, or one for the processor.",
    (
        "stillhouse worker --server=localhost:18400 --threads=1",
        "stillhouse worker --server=node1:18400 --device=gpu:0 --max_idle=600",
    ),
)

_STATUS = Command(
    "status",
    StatusConfig,
    "RUN_FOLDER | --server=host:port",
    "say how a run is doing, and its workers",
    "Shows the step, loss, accuracy and time left of a run, from its folder or from its server; a "
    "server also tells of its tasks and of each worker.",
    (
        "stillhouse status runs/digits",
        "stillhouse status --server=localhost:18400 --watch",
    ),
)

COMMANDS = {
    command.name: command
    for command in (_DISTILL, _PLAN, _EVALUATE, _SHOW, _SERVE, _WORKER, _STATUS)
}
