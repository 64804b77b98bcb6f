"""A job from its first step to its pictures, or from where it was."""

import contextlib
import dataclasses
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from absl import logging

from stillhouse.data.archive import write_npz
from stillhouse.data.batches import TargetBatches
from stillhouse.data.distilled import load_distilled, space_arrays
from stillhouse.data.printing import printable
from stillhouse.data.recipes import KrrRecipe
from stillhouse.data.transforms import Transform
from stillhouse.launch.errors import (
    BAD_INPUT,
    DESERTED,
    STOPPED,
    CommandError,
    bad_input,
    one_line,
)
from stillhouse.launch.job import Job
from stillhouse.launch.progress import ProgressReporter, short_time
from stillhouse.launch.signals import StopSignals
from stillhouse.methods.algorithm import Deserted, Interrupted, NonFiniteStepError
from stillhouse.methods.bit_traits import bit_traits
from stillhouse.methods.computing_kind import SERVER, computing_kind
from stillhouse.methods.device_kind import device_kind, own_device, processor
from stillhouse.methods.programs import KERNEL_ELEMENTS
from stillhouse.methods.tasks import Tally, TaskFailedError
from stillhouse.server.audit import Audit
from stillhouse.server.checkpoints import CheckpointError, CheckpointStore
from stillhouse.server.device_kinds import DeviceKinds, in_words, kinds_of_folder
from stillhouse.server.distillation import distil
from stillhouse.server.metrics import read_metrics
from stillhouse.server.outcome import finish
from stillhouse.server.schedule import Progress


def summarise_if_finished(job: Job) -> bool:
    """Say what a finished run came to; return False of one that is not finished.

    Raises:
        CommandError: if its folder is damaged.
    """
    with bad_input():
        if job.folder.read_result(job.schedule.steps) is None:
            return False
        print(f"{job.folder.path} holds this run, finished: nothing to do")
        _draw(job)
    _summarise(job)
    return True


def run_job(
    job: Job,
    *,
    signals: StopSignals | None = None,
    kinds: DeviceKinds | None = None,
    audit: Audit | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    batches: Callable[[TargetBatches], TargetBatches] = lambda batches: batches,
) -> int:
    """Run a job to its end, by its own runner, and return the exit code.

    Args:
        job: what to run.
        signals: entered already, where the engine asks them too; None for new ones.
        kinds: the kinds of device that compute; None where this process does.
        audit: which results are compared; None for none.
        on_progress: told of the progress beside the log; keep it quick.
        batches: gives whoever hands out the target batches, from those made here.

    Raises:
        CommandError: if the folder is in use, or the run was stopped.
    """
    with contextlib.ExitStack() as stack:
        with bad_input():
            transform = job.fit_transform()
            stack.enter_context(job.folder.opened(job.identity, job.settings, growing=job.growing))
        signals = signals or stack.enter_context(StopSignals())
        reporter = stack.enter_context(ProgressReporter(job.folder.log))

        def report(progress: Progress) -> None:
            reporter(progress)
            on_progress(progress)

        logging.info("%s in %s", job.summary(), job.folder.path)
        if kinds is None:
            with bad_input():
                kinds = _kinds_here(job)
        # What is not finite stops the run anyway.
        with np.errstate(over="ignore", invalid="ignore"), stopped_runs(job, signals):
            learn(job, transform, signals.asked, report, batches, kinds, audit)
            _draw(job)
    _summarise(job)
    return 0


def learn(
    job: Job,
    transform: Transform,
    should_stop: Callable[[], bool],
    report: Callable[[Progress], None],
    batches: Callable[[TargetBatches], TargetBatches],
    kinds: DeviceKinds | None = None,
    audit: Audit | None = None,
) -> None:
    """Learn the distilled set in the job's folder, which is open, and write it there.

    Other arguments as `run_job`.

    Raises:
        Interrupted: if `should_stop` said so.
        FloatingPointError: if the run met NaN or infinity.
        TaskFailedError: if a task failed wherever it was tried.
        CheckpointError: if the last checkpoint is none of this run.
        OSError: if the folder cannot be written.
    """
    known = kinds or _kinds_here(job)
    if not job.folder.begun.exists():
        # What a reader of its checkpoints needs beside them.
        write_npz(job.folder.begun, space_arrays(transform, job.card()))
    tally = Tally(job.runner)
    targets = batches(job.batches(transform, augmented=True))
    outcome = distil(
        job.algorithm(transform, targets, tally, should_stop),
        schedule=job.schedule,
        tally=tally,
        folder=job.folder,
        should_stop=should_stop,
        report=report,
        computed_by=known.describe,
        audit=audit,
    )
    audited = audit.describe() if audit is not None else {}
    card = dataclasses.replace(job.card(known.computed), audit=audited)
    finish(job.folder, outcome, transform=transform, card=card)
    if audited:
        logging.info("%s", _audited(audited))
    job.folder.begun.unlink(missing_ok=True)
    logging.info("%s", in_words(known.computed))


def _audited(audit: Mapping[str, Any]) -> str:
    """Return what came of an audit."""
    found = ", ".join(audit["set_aside"]) or "nobody"
    missed = f", {audit['missed']:,} could not be" if audit["missed"] else ""
    return f"{audit['compared']:,} results were compared{missed}; set aside for theirs: {found}"


def _kinds_here(job: Job) -> DeviceKinds:
    """Return the kinds of a run that this process computes.

    Raises:
        Refusal: if it was begun on another kind.
    """
    kinds = kinds_of_folder(job.folder, any_device=job.config.engine.any_device)
    device = own_device(job.backend)
    traits = bit_traits(device)
    kind = computing_kind(job.backend, device_kind(device), processor(), traits)
    kinds.let_in(kind, "this process")
    kinds.count(kind)
    kinds.serve_on(server_kind(traits))
    return kinds


def server_kind(traits: Mapping[str, str]) -> str:
    """Return the kind of this process as one that keeps a run, by its `bit_traits`."""
    return computing_kind(SERVER, device_kind("cpu"), processor(), traits)


@contextlib.contextmanager
def stopped_runs(job: Job, signals: StopSignals) -> Iterator[None]:
    """Turn what ends a run before its time into a `CommandError` that says how to go on."""
    try:
        yield
    except Interrupted as error:
        deserted = isinstance(error, Deserted)
        why = " since no worker was there for --max_lonely seconds" if deserted else ""
        message = f"stopped after step {error.step} of {job.schedule.steps}{why}; {_GO_ON}"
        code = DESERTED if deserted else signals.code or STOPPED
        raise CommandError(message, code) from error
    except CheckpointError as error:
        raise CommandError(one_line(error), BAD_INPUT) from error
    except FloatingPointError as error:
        raise CommandError(f"{_what_to_try(job, error)}; {_kept(job)}", STOPPED) from error
    except TaskFailedError as error:
        raise CommandError(f"{one_line(error)}; {_kept(job)}", STOPPED) from error
    except OSError as error:
        message = f"{one_line(error)}; {_kept(job)}; mend this, then {_GO_ON}"
        raise CommandError(message, STOPPED) from error


_GO_ON = "the same command goes on from there"


def _what_to_try(job: Job, error: FloatingPointError) -> str:
    advice = "with another --out"
    rate = getattr(job.config.own, "learning_rate", None)
    if rate is not None and not isinstance(error, NonFiniteStepError):
        advice = f"or try a lower `learning_rate` (now {rate:g}), {advice}"
    return f"{one_line(error)}, {advice}"


def _kept(job: Job) -> str:
    with contextlib.suppress(OSError, ValueError):
        saved = CheckpointStore(job.folder.checkpoints).latest()
        if saved is not None:
            return f"the checkpoint of step {saved.step} is in {job.folder.checkpoints}"
    return "there is no checkpoint yet"


def _work(result: Mapping[str, Any]) -> str:
    # A run of before counted kernel elements alone.
    work = result.get("work") or {KERNEL_ELEMENTS: result.get("kernel_elements", 0)}
    return "".join(f"{count:,} {unit}, " for unit, count in work.items())


def _draw(job: Job) -> None:
    """Draw what pictures there are not."""
    # Matplotlib is not needed to start.
    from stillhouse.analysis.figures import curves
    from stillhouse.analysis.steps import draw_set

    if not job.folder.picture.exists():
        draw_set(load_distilled(job.folder.distilled), job.folder.picture)
    if not job.folder.curves.exists():
        curves(read_metrics(job.folder.metrics), job.folder.curves)


def _say_if_worse(job: Job, result: Mapping[str, Any]) -> None:
    """Say of a run that its images predict worse in the end than those it began with."""
    records = read_metrics(job.folder.metrics)
    first = next(iter(records), {})
    began, ended = first.get("test_accuracy"), result["test_accuracy"]
    steps = [record for record in records if {"loss", "accuracy"} <= record.keys()]
    what = None
    if first.get("step") == 0 and began is not None:
        if ended < began:
            what = f"test accuracy {began:.4f} before the first step, {ended:.4f} now"
    # Where it was not scored then. Batches vary, in one of the two or by a little.
    elif isinstance(job.config.own.recipe(), KrrRecipe) and steps:
        (loss, accuracy), (later, found) = (
            (record["loss"], record["accuracy"]) for record in (steps[0], steps[-1])
        )
        if later > 1.1 * loss and found < accuracy:
            what = f"loss {loss:.4g} of the first step's batch, {later:.4g} of the last one's"
    if what is not None:
        print(
            f"note: it ended worse than it began: {what}; try a lower --learning_rate, --decay or "
            "a larger --target_batch",
            file=sys.stderr,
        )


def _summarise(job: Job) -> None:
    result = job.folder.read_result()
    assert result is not None, "the run is finished"
    file = shlex.quote(str(job.folder.distilled))
    dataset = shlex.quote(job.config.data.dataset)
    # A folder of a stranger's may be called anything.
    file, dataset = printable(file), printable(dataset)
    _say_if_worse(job, result)
    more = f", half mse {result['test_mse']:.5f}" if "test_mse" in result else ""
    if "test_accuracy_deviation" in result:
        more = f" +- {result['test_accuracy_deviation']:.4f}"
    print(
        f"test accuracy {result['test_accuracy']:.4f}{more}: "
        f"{result['support_size']} images after {result['steps']} steps, "
        f"{_work(result)}{short_time(result['seconds'])}\n"
        f"distilled set: {job.folder.distilled}\n"
        f"pictures:      {job.folder.picture}, {job.folder.curves}\n"
        f"next:          stillhouse evaluate {file} --dataset={dataset}\n"
        f"               stillhouse show {file} --out=grid.png"
    )
