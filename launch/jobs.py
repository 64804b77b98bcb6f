"""Whatever an engine may run: a distillation, or the training of a pool."""

from collections.abc import Callable

from stillhouse.data.batches import TargetBatches
from stillhouse.launch.job import Job
from stillhouse.launch.prepare import prepare
from stillhouse.launch.pretraining import PretrainJob, prepare_pretraining, run_pretraining
from stillhouse.launch.running import run_job
from stillhouse.launch.settings.pretrain import PretrainConfig
from stillhouse.launch.settings.run import DistillConfig
from stillhouse.launch.signals import StopSignals
from stillhouse.server.schedule import Progress

AnyJob = Job | PretrainJob
AnyConfig = DistillConfig | PretrainConfig


def prepare_any(config: AnyConfig) -> AnyJob:
    """Check settings, and return the job that they make.

    Raises:
        ValueError: if anything about them is wrong.
        OSError: if a file or folder cannot be read or written.
    """
    if isinstance(config, PretrainConfig):
        return prepare_pretraining(config)
    return prepare(config)


def run_any(
    job: AnyJob,
    *,
    signals: StopSignals | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    batches: Callable[[TargetBatches], TargetBatches] = lambda batches: batches,
) -> int:
    """Run a job to its end, by its own runner, and return the exit code; see `run_job`.

    Raises:
        CommandError: if its folder is in use, or it was stopped.
    """
    if isinstance(job, PretrainJob):
        return run_pretraining(job, signals=signals, on_progress=on_progress)
    return run_job(job, signals=signals, on_progress=on_progress, batches=batches)


def command_of(config: AnyConfig) -> str:
    """Return the name of the command that has these settings, for an error message."""
    return "pretrain" if isinstance(config, PretrainConfig) else "distill"
