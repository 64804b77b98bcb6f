"""The commands: what each is called, what it says of itself, and where its code is."""

import dataclasses

from stillhouse.launch.settings.baselines import BaselinesConfig
from stillhouse.launch.settings.compare import CompareConfig
from stillhouse.launch.settings.pretrain import PretrainConfig
from stillhouse.launch.settings.releases import FetchConfig, PublishConfig
from stillhouse.launch.settings.report import ReportConfig
from stillhouse.launch.settings.run import DistillConfig, PlanConfig, ServeConfig
from stillhouse.launch.settings.sets import EvaluateConfig, ShowConfig
from stillhouse.launch.settings.study import StudyConfig
from stillhouse.launch.settings.train import TrainConfig
from stillhouse.launch.settings.workers import StatusConfig, WorkerConfig


@dataclasses.dataclass(frozen=True)
class Command:
    """A command of `stillhouse`.

    Attributes:
        name: what it is called; its code is `run` of the module of that name in `launch.commands`.
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
    "seconds of calibration on this machine. Nothing is written. What a pool would cost is said by "
    "pretrain --plan.",
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
    "Uses the set as the recipe in its card says, and prints the accuracy on test images: of "
    "kernel ridge regression, with its mean squared error, or of finite networks that are trained "
    "by given steps or in the ordinary way. A set from distill carries recipe, transform and "
    "dataset; for any other .npz with images and labels name them by --dataset, --architecture and "
    "--transform.",
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
    "Draws every image of the set in its original colours, with its label as bars; a set that is "
    "shown in steps is drawn step by step, with their sizes as curves.",
    (
        "stillhouse show runs/digits/distilled.npz",
        "stillhouse show runs/digits/distilled.npz --out=digits.pdf",
    ),
)

_REPORT = Command(
    "report",
    ReportConfig,
    "RUN_FOLDER|FILE [--flag=value ...]",
    "write a page about a distilled set: images, labels, accuracies, provenance",
    "Writes one HTML page that holds everything it shows, and its pictures beside it: the images "
    "before and after, their labels and how these vary together, learning curves, accuracies of "
    "kernel ridge regression under several kernels beside sets of the same size that nothing was "
    "learned for, pixels beside real ones, and where the set comes from, with the command that "
    "computes each score again.",
    (
        "stillhouse report runs/digits",
        "stillhouse report runs/mnist --dataset=data/mnist --kernels=own,fc:1 --test_images=0",
        "stillhouse report kip.npz --dataset=data/cifar10 --transform=zca --out=kip.html",
    ),
)

_COMPARE = Command(
    "compare",
    CompareConfig,
    "SET... [--flag=value ...]",
    "judge several sets alike: kernels and networks, a table and a page",
    "Scores sets of any method and source under the same judges, each set in its own transform: "
    "kernel ridge regression, and networks that are trained on it, beside real images of the same "
    "sizes. Prints a table, and leaves it as a page with plots, as JSON and as CSV. SET is a file, "
    "a run folder, or a folder of run folders. Every judgement is kept as it is made: the same "
    "command goes on, and one with more sets judges these alone.",
    (
        "stillhouse compare runs/kip runs/dm --dataset=data/mnist --out=comparison",
        "stillhouse compare runs --networks=convnet,mlp,vgg11 --width=32 --kernels=fc:1,convnet:3",
        "stillhouse compare kip.npz runs/dm --dataset=data/cifar10 --transform=zca --json",
    ),
)

_TRAIN = Command(
    "train",
    TrainConfig,
    "FILE [--flag=value ...]",
    "train finite networks on a distilled set, and on real images beside it",
    "Trains networks from random initial weights on the set, each from a seed of its own, and "
    "prints their accuracy on the dataset's test images, and that of networks trained alike on as "
    "many random real images. Takes a set from distill or any other .npz with images and labels, "
    "soft or hard; for the latter name --dataset and --transform.",
    (
        "stillhouse train runs/digits --steps=500 --baseline=random,kmeans,average",
        "stillhouse train runs/mnist --dataset=data/mnist --width=128 --steps=1000 --out=trained",
        "stillhouse train kip.npz --dataset=data/cifar10 --transform=zca --loss=xent --seeds=3",
    ),
)

_PRETRAIN = Command(
    "pretrain",
    PretrainConfig,
    "[--flag=value ...]",
    "train networks on real images, into a pool",
    "Trains networks on a dataset, each from a seed of its own, and leaves them in a pool: a "
    "folder with the weights of each network, how good they are, and what they were trained on. "
    "Pools are what trajectory matching, fine-tuning and studies start from. Interrupted and "
    "started again with the same flags, it goes on where it was; with a larger --networks the pool "
    "grows.",
    (
        "stillhouse pretrain --dataset=data/mnist --network=lenet --networks=8 --out=pools/lenet",
        "stillhouse pretrain --dataset=data/cifar10 --norm=instance --optimiser=sgd --trajectories",
        "stillhouse pretrain --dataset=data/cifar10 --networks=100 --plan",
        "stillhouse pretrain --dataset=data/cifar10 --networks=100 --engine=launchpad --workers=4",
    ),
)

_STUDY = Command(
    "study",
    StudyConfig,
    "SET... [--flag=value ...]",
    "ask what distilled sets have learned: studies, a page of their conclusions",
    "Asks of sets of any method what they are: whether networks trained on real images recognise "
    "them, what their pixels are, what real images mixed in gain, whether networks trained on them "
    "answer as early-stopped ones do. Each study is a table, kept as JSON; the page has for each "
    "published conclusion a plot, the numbers, and whether it is seen here. SET is a file, a run "
    "folder, or a folder of run folders. A study that is finished is not made again.",
    (
        "stillhouse study runs/dd runs/dm --dataset=data/mnist --pool=pools/convnet --out=study",
        "stillhouse study runs --pool=pools/convnet,pools/mlp --only=recognition,pixels",
        "stillhouse study runs --pool=pools/convnet --engine=launchpad --workers=4",
    ),
)

_SERVE = Command(
    "serve",
    ServeConfig,
    "--address=host:port [--flag=value ...]",
    "distil with workers that come and go",
    "Takes the flags of distill and leaves the same run folder, but lets every task be "
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
    "compute tasks for a server",
    "Asks the server for tasks, computes them and hands them back, until the run ends or "
    "the server has not answered for --max_idle seconds. Needs no dataset and no folder. Start "
    "one for each GPU, or one for the processor.",
    (
        "stillhouse worker --server=localhost:18400 --token_file=runs/digits/token --threads=1",
        "stillhouse worker --server=node1:18400 --token_file=token --device=gpu:0 --max_idle=600",
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
        "stillhouse status --server=localhost:18400 --token_file=runs/digits/token --watch",
    ),
)

_FETCH = Command(
    "fetch",
    FetchConfig,
    "SOURCE [--flag=value ...]",
    "get published distilled sets",
    "SOURCE is kip or ls, the sets that Google Research published with the papers on KIP and Label "
    "Solve, or the URL or folder of a release that publish made. Where several sets agree with the "
    "flags nothing is fetched, unless --best or --all is given. A set of publish comes byte for "
    "byte as it was. The others hold images and labels alone: for these name the original dataset "
    "by --dataset, and network, transform and stated accuracy are put into the file; evaluate then "
    "says how near it comes. Downloads are kept in the user's cache, or in $STILLHOUSE_CACHE.",
    (
        "stillhouse fetch kip --list --dataset_name=cifar10 --ssize=100 --zca",
        "stillhouse fetch kip --dataset_name=mnist --ssize=10 --best --dataset=data/mnist",
        "stillhouse fetch https://example.org/sets --architecture=FC1 --out=sets/fc1.npz",
    ),
)

_PUBLISH = Command(
    "publish",
    PublishConfig,
    "RUN_FOLDER|FILE --to=FOLDER [--flag=value ...]",
    "put a distilled set where others fetch it",
    "Adds the set's file, a dataset card and a row of index.csv to a release, which is any folder, "
    "also of S3 or Google Cloud Storage. Several may publish into one release: rows of others stay "
    "as they are, and nothing is overwritten. --hub lays the set out for the Hugging Face hub.",
    (
        "stillhouse publish runs/digits --to=releases",
        "stillhouse publish runs/digits --to=s3://bucket/releases --license=cc-by-4.0",
        "stillhouse publish distilled.npz --hub=hub/digits --name=digits-of-ten",
    ),
)

_BASELINES = Command(
    "baselines",
    BaselinesConfig,
    "[--flag=value ...]",
    "say what the same gradient steps make of real images, and what nearest neighbours say",
    "Takes networks through as many gradient steps as a set of distill --method=dd, on random "
    "real images, the best of many random sets, k-means centres and class averages, at the rate "
    "that is best on held-out training images; and predicts by the nearest neighbours among such "
    "images. Prints means and deviations over sets and networks.",
    (
        "stillhouse baselines --dataset=data/mnist --network=lenet",
        "stillhouse baselines --dataset=data/mnist --distill_epochs=5 --rates=0.1 --json",
        "stillhouse baselines --dataset=data/mnist --pool=pools/usps --kinds=random,kmeans",
    ),
)

COMMANDS = {
    command.name: command
    for command in (
        _DISTILL,
        _PLAN,
        _EVALUATE,
        _TRAIN,
        _COMPARE,
        _PRETRAIN,
        _STUDY,
        _BASELINES,
        _SHOW,
        _REPORT,
        _SERVE,
        _WORKER,
        _STATUS,
        _FETCH,
        _PUBLISH,
    )
}
