"""Whatever an engine may run: a distillation, the training of a pool, or studies."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from stillhouse.data.batches import TargetBatches
from stillhouse.launch.job import Job
from stillhouse.launch.prepare import prepare
from stillhouse.launch.running import run_job, server_kind
from stillhouse.launch.settings.pretrain import PretrainConfig
from stillhouse.launch.settings.run import DistillConfig
from stillhouse.launch.settings.study import StudyConfig
from stillhouse.launch.signals import StopSignals
from stillhouse.methods.bit_traits import bit_traits
from stillhouse.server.audit import Audit
from stillhouse.server.device_kinds import DeviceKinds, kinds_of_folder
from stillhouse.server.schedule import Progress

# Finite networks bring libraries that a distillation by kernels does not wait for.
if TYPE_CHECKING:
    from stillhouse.launch.pretraining import PretrainJob
    from stillhouse.launch.studying import StudyJob

AnyJob: TypeAlias = "Job | PretrainJob | StudyJob"
AnyConfig = DistillConfig | PretrainConfig | StudyConfig


def prepare_any(config: AnyConfig) -> AnyJob:
    """Check settings, and return the job that they make.

    Raises:
        ValueError: if anything about them is wrong.
        OSError: if a file or folder cannot be read or written.
    """
    if isinstance(config, PretrainConfig):
        from stillhouse.launch.pretraining import prepare_pretraining

        return prepare_pretraining(config)
    if isinstance(config, StudyConfig):
        from stillhouse.launch.studying import prepare_study

        return prepare_study(config)
    return prepare(config)


def kinds_for(job: AnyJob) -> DeviceKinds:
    """Return the kinds of device that have computed a job so far, and may from now on.

    Raises:
        ValueError: if its last checkpoint was written by a newer release, or by a server on another
            kind of computer than this one.
        OSError: if its folder cannot be read.
    """
    any_device = job.config.engine.any_device
    if not isinstance(job, Job):
        # The networks of a pool are each computed by one worker, and one that grows may be mixed;
        # so may studies.
        return DeviceKinds(any_device=any_device)
    kinds = kinds_of_folder(job.folder, any_device=any_device)
    kinds.serve_on(server_kind(bit_traits("cpu")))
    return kinds


def run_any(
    job: AnyJob,
    *,
    signals: StopSignals | None = None,
    kinds: DeviceKinds | None = None,
    audit: Audit | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    batches: Callable[[TargetBatches], TargetBatches] = lambda batches: batches,
) -> int:
    """Run a job to its end, by its own runner, and return the exit code; see `run_job`.

    Raises:
        CommandError: if its folder is in use, or it was stopped.
    """
    if isinstance(job, Job):
        return run_job(
            job, signals=signals, kinds=kinds, audit=audit, on_progress=on_progress, batches=batches
        )
    if isinstance(job.config, StudyConfig):
        from stillhouse.launch.studying import StudyJob, run_studies

        assert isinstance(job, StudyJob)
        return run_studies(job, signals=signals, on_progress=on_progress)
    from stillhouse.launch.pretraining import PretrainJob, run_pretraining

    assert isinstance(job, PretrainJob)
    return run_pretraining(job, signals=signals, on_progress=on_progress)


def command_of(config: AnyConfig) -> str:
    """Return the name of the command that has these settings, for an error message."""
    others = {PretrainConfig: "pretrain", StudyConfig: "study"}
    return others.get(type(config), "distill")
