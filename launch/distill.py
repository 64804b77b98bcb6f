"""`stillhouse distill`: run a job to its end, or from where it was."""

import contextlib
import shlex

import numpy as np
from absl import logging

from stillhouse.analysis.figures import curves, image_grid
from stillhouse.data.distilled import load_distilled
from stillhouse.data.transforms import Transform
from stillhouse.launch.config import DistillConfig
from stillhouse.launch.errors import BAD_INPUT, STOPPED, CommandError, bad_input, one_line
from stillhouse.launch.job import Job
from stillhouse.launch.prepare import prepare
from stillhouse.launch.progress import ProgressReporter, short_time
from stillhouse.launch.signals import StopSignals
from stillhouse.methods.kip import NonFiniteLossError
from stillhouse.server.checkpoints import CheckpointError, CheckpointStore
from stillhouse.server.distillation import distil
from stillhouse.server.evaluation import Evaluation, Interrupted
from stillhouse.server.metrics import read_metrics
from stillhouse.server.outcome import finish


def run(config: DistillConfig) -> int:
    """Distil, and return the exit code.

    Raises:
        CommandError: if the settings are wrong, or the run was stopped.
    """
    with bad_input():
        job = prepare(config)
        if job.folder.read_result() is not None:
            print(f"{job.folder.path} holds this run, finished: nothing to do")
            _draw(job)
            _summarise(job)
            return 0
        transform = job.fit_transform()
    with contextlib.ExitStack() as stack:
        with bad_input():
            stack.enter_context(job.folder.opened(job.identity, job.settings))
        _learn(job, transform)
    _summarise(job)
    return 0


def _learn(job: Job, transform: Transform) -> None:
    folder = job.folder
    with (
        np.errstate(over="ignore", invalid="ignore"),  # What is not finite stops the run anyway.
        StopSignals() as signals,
        ProgressReporter(folder.log) as report,
    ):
        evaluation = Evaluation(
            job.computer,
            job.kernels,
            job.batches(transform, augmented=False),
            job.config.method.regularisation,
            should_stop=signals.asked,
        )
        logging.info("%s in %s", job.summary(), folder.path)
        try:
            outcome = distil(
                job.algorithm(transform),
                schedule=job.schedule,
                evaluation=evaluation,
                folder=folder,
                report=report,
            )
            finish(folder, outcome, transform=transform, card=job.card())
            _draw(job)
        except Interrupted as error:
            message = f"stopped after step {error.step} of {job.schedule.steps}; {_GO_ON}"
            raise CommandError(message, signals.code or STOPPED) from error
        except CheckpointError as error:
            raise CommandError(one_line(error), BAD_INPUT) from error
        except FloatingPointError as error:
            raise CommandError(f"{_what_to_try(job, error)}; {_kept(job)}", STOPPED) from error
        except OSError as error:
            message = f"{one_line(error)}; {_kept(job)}; mend this, then {_GO_ON}"
            raise CommandError(message, STOPPED) from error


_GO_ON = "the same command goes on from there"


def _what_to_try(job: Job, error: FloatingPointError) -> str:
    advice = "with another --out"
    if job.config.method.method == "kip" and not isinstance(error, NonFiniteLossError):
        rate = job.config.method.learning_rate
        advice = f"or try a lower `learning_rate` (now {rate:g}), {advice}"
    return f"{one_line(error)}, {advice}"


def _kept(job: Job) -> str:
    with contextlib.suppress(OSError, ValueError):
        saved = CheckpointStore(job.folder.checkpoints).latest()
        if saved is not None:
            return f"the checkpoint of step {saved.step} is in {job.folder.checkpoints}"
    return "there is no checkpoint yet"


def _draw(job: Job) -> None:
    """Draw what pictures there are not."""
    if not job.folder.picture.exists():
        image_grid(load_distilled(job.folder.distilled), job.folder.picture)
    if not job.folder.curves.exists():
        curves(read_metrics(job.folder.metrics), job.folder.curves)


def _summarise(job: Job) -> None:
    result = job.folder.read_result()
    assert result is not None, "the run is finished"
    file = shlex.quote(str(job.folder.distilled))
    dataset = shlex.quote(job.config.data.dataset)
    print(
        f"test accuracy {result['test_accuracy']:.4f}, mse {result['test_mse']:.5f}: "
        f"{result['support_size']} images after {result['steps']} steps, "
        f"{result['kernel_elements']:,} kernel elements, {short_time(result['seconds'])}\n"
        f"distilled set: {job.folder.distilled}\n"
        f"pictures:      {job.folder.picture}, {job.folder.curves}\n"
        f"next:          stillhouse evaluate {file} --dataset={dataset}\n"
        f"               stillhouse show {file} --out=grid.png"
    )
