"""Networks trained on real images: from settings to tasks, and from their results to a pool."""

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from stillhouse.data.dataset import Dataset
from stillhouse.data.records import to_plain
from stillhouse.data.transforms import Transform, fit_transform
from stillhouse.launch.errors import DESERTED, STOPPED, CommandError, bad_input, one_line
from stillhouse.launch.progress import ProgressReporter
from stillhouse.launch.reading import read_dataset
from stillhouse.launch.settings.pretrain import PretrainConfig
from stillhouse.launch.signals import StopSignals
from stillhouse.methods.algorithm import Deserted, Interrupted
from stillhouse.methods.programs import Context, TrainNetwork
from stillhouse.methods.tasks import Task, TaskFailedError, TaskRunner
from stillhouse.networks.descent import programs_for
from stillhouse.networks.pool import PoolInfo
from stillhouse.networks.pool_writer import PoolWriter
from stillhouse.networks.training import images_of_fraction
from stillhouse.server.schedule import Progress
from stillhouse.workers.local import LocalRunner

# What computes networks, wherever: on GPUs where workers have them.
_BACKEND = "xla"


@dataclasses.dataclass(frozen=True)
class PretrainJob:
    """The training of a pool that is known to be sound, before anything heavy is done.

    Attributes:
        config: its settings.
        dataset: what the networks are trained on, with images of the asked classes alone.
        info: what they have in common.
        backend: the name of what computes, wherever.
        runner: who computes tasks.
        folder: where it goes.
    """

    config: PretrainConfig
    dataset: "_Images"
    info: PoolInfo
    backend: str
    runner: TaskRunner
    folder: PoolWriter

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of the result."""
        return to_plain(self.info)

    @property
    def seed(self) -> int:
        """The seed of the first network."""
        return self.config.pool.seed

    def summary(self) -> str:
        """Return the training in a line."""
        training, info = self.info.training, self.info
        return (
            f"{self.folder.count} networks {info.network} on {info.train_images:,} images of "
            f"{info.dataset.name}, {training.epochs} epochs of {training.objective.optimiser}"
        )

    def tasks(self, transform: Transform, missing: Sequence[int]) -> list[Task]:
        """Return a task for each network that is missing."""
        arrays = transform.to_arrays()
        program = TrainNetwork(
            self.info.network,
            self.info.training,
            len(self.info.dataset.class_names),
            transform.kind,
            tuple(arrays),
            self.info.train_images,
        )
        images = self.dataset
        shared = (images.x_train, images.y_train, images.x_test, images.y_test, *arrays.values())
        return [
            Task(program, shared, (np.array([self.info.seed + index], np.int64),))
            for index in missing
        ]


@dataclasses.dataclass(frozen=True, eq=False)
class _Images:
    """The images that networks get, of all classes or of some."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def prepare_pretraining(config: PretrainConfig) -> PretrainJob:
    """Check settings against data and folder, and return what they make.

    Raises:
        ValueError: if anything about them is wrong.
        OSError: if a file or folder cannot be read or written.
    """
    dataset = read_dataset(config.data.dataset, config.reading)
    classes = _classes(config.data.classes, dataset)
    images = _images(dataset, classes)
    chosen = images_of_fraction(images.y_train, config.data.fraction, config.pool.seed)
    info = PoolInfo(
        config.network.spec,
        config.training_spec,
        dataset.info(),
        config.data.transform,
        classes,
        len(chosen),
        config.pool.seed,
    )
    if config.engine.engine == "local":  # Another machine's device is its own to say.
        shape, outputs = info.dataset.image_shape, len(info.dataset.class_names)
        programs = programs_for(config.network.spec, config.training_spec.objective, shape, outputs)
        programs.check_batch(min(config.training_spec.batch_size, len(chosen)))
    folder = PoolWriter(_folder(config, dataset), info, config.pool.networks)
    each = 4 * info.build().size * (1 + len(info.snapshot_steps))
    folder.check(bytes_needed=each * len(folder.missing()))
    context = Context(_BACKEND, config.compute.threads)
    return PretrainJob(config, images, info, _BACKEND, LocalRunner(context), folder)


def run_pretraining(
    job: PretrainJob,
    *,
    signals: StopSignals | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> int:
    """Train the networks that are missing, by the job's own runner, and return the exit code.

    Args:
        job: what to train.
        signals: entered already, where the engine asks them too; None for new ones.
        on_progress: told of the progress beside the log; keep it quick.

    Raises:
        CommandError: if the folder is in use, or the training was stopped.
    """
    folder = job.folder
    with contextlib.ExitStack() as stack:
        with bad_input():
            transform = fit_transform(job.info.transform, job.dataset.x_train)
            stack.enter_context(folder.opened(transform))
        signals = signals or stack.enter_context(StopSignals("this network"))
        reporter = stack.enter_context(ProgressReporter(folder.log))

        def report(values: dict[str, float]) -> None:
            done = folder.count - len(folder.missing())
            progress = Progress(done, folder.count, values)
            reporter(progress)
            on_progress(progress)

        logging.info("%s in %s", job.summary(), folder.path)
        with _stopped(folder, signals):
            missing = folder.missing()
            report({})
            # One asked to stop does so between networks.
            results = job.runner.results(job.tasks(transform, missing))
            for index in missing:
                if signals.asked():
                    raise Interrupted
                member = folder.add(index, *next(results))
                report({"loss": member.train_loss, "test_accuracy": member.test_accuracy})
    summarise(folder)
    return 0


def summarise(folder: PoolWriter) -> None:
    """Say what a finished pool came to."""
    accuracies = [member.test_accuracy for member in folder.members()]
    deviation = f" +- {np.std(accuracies, ddof=1):.4f}" if len(accuracies) > 1 else ""
    snapshots = len(folder.info.snapshot_steps)
    along = f", each with {snapshots} snapshots" if snapshots else ""
    print(
        f"test accuracy {np.mean(accuracies):.4f}{deviation}: {len(accuracies)} networks "
        f"{folder.info.network} on {folder.info.train_images:,} images of "
        f"{folder.info.dataset.name}{along}\n"
        f"pool: {folder.path}"
    )


@contextlib.contextmanager
def _stopped(folder: PoolWriter, signals: StopSignals) -> Iterator[None]:
    """Turn what ends the training before its time into a `CommandError` that says how to go on."""
    try:
        yield
    except Interrupted as error:
        deserted = isinstance(error, Deserted)
        why = " since no worker was there for --max_lonely seconds" if deserted else ""
        message = f"stopped{why}, and {_kept(folder)}; the same command goes on from there"
        code = DESERTED if deserted else signals.code or STOPPED
        raise CommandError(message, code) from error
    except (FloatingPointError, TaskFailedError, ValueError) as error:
        raise CommandError(f"{one_line(error)}; {_kept(folder)}", STOPPED) from error
    except OSError as error:
        message = f"{one_line(error)}; {_kept(folder)}; mend this, then the same command goes on"
        raise CommandError(message, STOPPED) from error


def _kept(folder: PoolWriter) -> str:
    done = folder.count - len(folder.missing())
    return f"{done} of {folder.count} networks are in {folder.path}"


def _classes(names: Sequence[str], dataset: Dataset) -> tuple[int, ...]:
    """Return the numbers of classes by their names, in ascending order.

    Raises:
        ValueError: if there is no such class, one is named twice, or only one is.
    """
    unknown = [name for name in names if name not in dataset.class_names]
    if unknown:
        raise ValueError(
            f"`--classes`: {dataset.name} has no class {unknown[0]!r}; it has "
            f"{', '.join(dataset.class_names)}"
        )
    if len(set(names)) != len(names) or len(names) == 1:
        raise ValueError(f"`--classes` must name two classes or more, each once, got {names}")
    return tuple(sorted(dataset.class_names.index(name) for name in names))


def _images(dataset: Dataset, classes: Sequence[int]) -> _Images:
    arrays: dict[str, np.ndarray] = {}
    for split in ("train", "test"):
        x, y = getattr(dataset, f"x_{split}"), getattr(dataset, f"y_{split}")
        kept = np.isin(y, classes) if classes else slice(None)
        x, y = x[kept], y[kept]
        if not len(x):
            raise ValueError(f"`--classes`: no {split} image is of these classes")
        arrays |= {f"x_{split}": np.ascontiguousarray(x), f"y_{split}": np.ascontiguousarray(y)}
    return _Images(**arrays)


def _folder(config: PretrainConfig, dataset: Dataset) -> Path:
    if config.pool.out is not None:
        return Path(config.pool.out).expanduser()
    text = f"{dataset.name}-{config.network.network}"
    return Path("pools") / re.sub(r"[^\w.-]+", "_", text)
