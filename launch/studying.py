"""Studies of distilled sets: from settings to tables and a page, by whoever computes tasks."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import logging

from stillhouse.analysis.studies.catalogue import STUDIES, Study
from stillhouse.analysis.studies.keeping import StudyFolder
from stillhouse.analysis.studies.materials import Materials, StudiedPool, StudiedSet
from stillhouse.data.dataset import Dataset
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.records import from_plain
from stillhouse.launch.command_line import command_line
from stillhouse.launch.errors import DESERTED, STOPPED, CommandError, bad_input, one_line
from stillhouse.launch.many_sets import check_fits, sets_in, short_names
from stillhouse.launch.pool_commands import pretrain_command
from stillhouse.launch.progress import ProgressReporter, seconds_between_lines
from stillhouse.launch.sets import dataset_for, load_set, transform_for
from stillhouse.launch.settings.sets import SetConfig
from stillhouse.launch.settings.study import StudyConfig
from stillhouse.launch.signals import StopSignals
from stillhouse.methods.algorithm import Deserted, Interrupted
from stillhouse.methods.programs import Arrays, Context
from stillhouse.methods.tasks import Task, TaskFailedError, TaskRunner
from stillhouse.networks.pool import RECORD, Pool, PoolInfo, read_record
from stillhouse.server.schedule import Progress
from stillhouse.workers.local import LocalRunner

# What computes networks, wherever: on GPUs where workers have them.
_BACKEND = "xla"


@dataclasses.dataclass(frozen=True)
class StudyJob:
    """Studies that are known to be sound, before anything heavy is done.

    Attributes:
        config: their settings.
        materials: what they work with.
        studies: which ones.
        folder: where they go.
        backend: the name of what computes, wherever.
        runner: who computes tasks.
    """

    config: StudyConfig
    materials: Materials
    studies: tuple[Study, ...]
    folder: StudyFolder
    backend: str
    runner: TaskRunner

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of the result."""
        return self.folder.identity

    @property
    def seed(self) -> int:
        """The seed of what is drawn."""
        return self.materials.seed

    def summary(self) -> str:
        """Return the studies in a line."""
        names = ", ".join(study.name for study in self.studies)
        sets = len(self.materials.sets)
        return (
            f"{names} of {sets} {'set' if sets == 1 else 'sets'} of {self.materials.dataset.name}"
        )


def prepare_study(config: StudyConfig) -> StudyJob:
    """Check settings against sets, pools, data and folder, and return what they make.

    Raises:
        ValueError: if anything about them is wrong.
        OSError: if a file or folder cannot be read or written.
    """
    studies = tuple(STUDIES[name] for name in config.data.only or STUDIES)
    files = [file for name in config.files for file in sets_in(name)]
    _check_number(studies, len(files))
    loaded = [(file, load_set(file, config.reading.max_bytes)) for file in files]
    asked = SetConfig(dataset=config.data.dataset)
    dataset = dataset_for(asked, *loaded[0], config.reading)
    source = config.data.dataset or _own_dataset(loaded[0][1])
    for file, distilled in loaded:
        check_fits(file, distilled, dataset)
    pools = _pools(config, studies, dataset, source)
    sets = [
        _studied(config, name, file, distilled, dataset, pools, source)
        for (file, distilled), name in zip(loaded, short_names(files), strict=True)
    ]
    runner = LocalRunner(Context(_BACKEND, config.compute.threads))
    materials = Materials(sets, pools, dataset, config.data.seed, config.sizes, runner)
    try:
        _ = materials.tests
    except ValueError as error:  # A class may have too few.
        raise ValueError(f"`--test_images`: {error}") from error
    folder = StudyFolder(Path(config.data.out).expanduser(), materials)
    folder.check(list(studies))
    return StudyJob(config, materials, studies, folder, _BACKEND, runner)


def run_studies(
    job: StudyJob,
    *,
    signals: StopSignals | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> int:
    """Make the studies that are missing, by the job's own runner, and the page of all.

    Args:
        job: which studies.
        signals: entered already, where the engine asks them too; None for new ones.
        on_progress: told of the progress beside the log; keep it quick.

    Returns:
        The exit code.

    Raises:
        CommandError: if the folder is in use, or the studies were stopped.
    """
    folder, studies = job.folder, list(job.studies)
    with contextlib.ExitStack() as stack:
        with bad_input():
            stack.enter_context(folder.opened(studies))
            missing = [study for study in studies if folder.read(study) is None]
        signals = signals or stack.enter_context(StopSignals("this training"))
        reporter = stack.enter_context(ProgressReporter(folder.log))

        def report(done: int) -> None:
            progress = Progress(done, len(studies), {})
            reporter(progress)
            on_progress(progress)

        logging.info("%s in %s", job.summary(), folder.path)
        with _stopped(job, signals):
            report(len(studies) - len(missing))
            for number, study in enumerate(missing, start=1):
                runner = _Watched(job.runner, study.name, signals)
                begun = time.monotonic()
                table = study.module.compute(dataclasses.replace(job.materials, runner=runner))
                command = command_line("study", job.config.files, job.config)
                folder.add(study, table, seconds=time.monotonic() - begun, command=command)
                report(len(studies) - len(missing) + number)
            _write_page(job)
    return 0


class _Watched:
    """A `TaskRunner` that says how far a study is, and stops between tasks where it is asked to.

    Args:
        runner: computes the tasks.
        name: of the study.
        signals: asked whether to stop.
    """

    def __init__(self, runner: TaskRunner, name: str, signals: StopSignals) -> None:
        self._runner, self._name, self._signals = runner, name, signals
        self._began = self._line_at = time.monotonic()

    def results(self, tasks: Sequence[Task]) -> Iterator[Arrays]:
        """Yield the results of each task, in the order of the tasks.

        Raises:
            Interrupted: if asked to stop.
        """
        for done, found in enumerate(self._runner.results(tasks), start=1):
            yield found
            if self._signals.asked():
                raise Interrupted
            now = time.monotonic()
            if now - self._line_at > seconds_between_lines(now - self._began):
                self._line_at = now
                logging.info("%s: %d of %d tasks", self._name, done, len(tasks))


def _write_page(job: StudyJob) -> None:
    """Write the page of all studies in the folder, and say what they found."""
    # Matplotlib is not needed to start.
    from stillhouse.analysis.studies.page import studies_page

    finished = [(kept, kept.study.module.present(kept.table)) for kept in job.folder.finished()]
    job.folder.write_page(studies_page(finished, job.folder.identity))
    for kept, section in finished:
        for finding in section.findings:
            print(f"{kept.study.name}: {finding.verdict}: {finding.conclusion}")
    print(f"page: {job.folder.page}")


@contextlib.contextmanager
def _stopped(job: StudyJob, signals: StopSignals) -> Iterator[None]:
    """Turn what ends studies before their time into a `CommandError` that says how to go on."""
    try:
        yield
    except Interrupted as error:
        deserted = isinstance(error, Deserted)
        why = " since no worker was there for --max_lonely seconds" if deserted else ""
        message = f"stopped{why}, and {_kept(job)}; the same command goes on from there"
        code = DESERTED if deserted else signals.code or STOPPED
        raise CommandError(message, code) from error
    except (FloatingPointError, TaskFailedError, ValueError, OSError) as error:
        raise CommandError(f"{one_line(error)}; {_kept(job)}", STOPPED) from error


def _kept(job: StudyJob) -> str:
    done = [study for study in job.studies if job.folder.read(study) is not None]
    return f"{len(done)} of {len(job.studies)} studies are in {job.folder.path}"


def _check_number(studies: Sequence[Study], sets: int) -> None:
    for study in studies:
        if sets < study.sets:
            enough = ",".join(one.name for one in STUDIES.values() if one.sets <= sets)
            raise ValueError(
                f"{study.name} compares sets, and takes {study.sets} at least, got {sets}; name "
                f"another one, or give --only={enough}"
            )


def _own_dataset(distilled: DistilledSet) -> str:
    assert distilled.card is not None, "it told where its dataset is"
    return str(distilled.card.config["dataset"])


def _studied(
    config: StudyConfig,
    name: str,
    file: str,
    distilled: DistilledSet,
    dataset: Dataset,
    pools: Sequence[StudiedPool],
    source: str,
) -> StudiedSet:
    """Return a set in the scale of the real images."""
    asked = config.data.transform if distilled.transform is None else None
    method = None if distilled.card is None else distilled.card.method
    if distilled.transform is None and asked is None:
        through = [one for one in pools if one.pool.transform.kind != "none"]
        if through or not pools:
            seen = (
                f"and the networks of {through[0].pool.path} see images through "
                f"{through[0].pool.transform.kind}"
                if through
                else "so that the scale of its images is not known"
            )
            info = through[0].pool.info if through else None
            out = f"{through[0].pool.path}-raw" if through else "pools/raw"
            first = pretrain_command(info, source, out, transform="none")
            raise ValueError(
                f"{file} carries no transform, {seen}; say by --transform=standardise or another "
                f"what its images are in or, where they are raw, train networks on raw images "
                f"first: {first}"
            )
        return StudiedSet(name, distilled.images, distilled.labels, method)
    transform = transform_for(SetConfig(transform=asked), file, distilled, dataset)
    return StudiedSet(name, transform.invert(distilled.images), distilled.labels, method)


def _pools(
    config: StudyConfig, studies: Sequence[Study], dataset: Dataset, source: str
) -> list[StudiedPool]:
    """Return the pools that are named; they can do what the studies ask.

    Raises:
        ValueError: if one is missing; it names the command that makes it.
    """
    names, along = config.data.pool, [study.name for study in studies if study.trajectories]
    asking = [study.name for study in studies if study.pool]
    if not names and asking:
        made = pretrain_command(None, source, f"pools/{dataset.name}", trajectories=bool(along))
        raise ValueError(
            f"{', '.join(asking)} ask networks that were trained on real images, and `--pool` "
            f"names none; train some first: {made}"
        )
    found = [
        StudiedPool(short, _pool(Path(name).expanduser(), dataset, source, bool(along)))
        for name, short in zip(names, short_names(names), strict=True)
    ]
    if along and not any(one.pool.steps for one in found):
        pool = found[0].pool
        made = pretrain_command(
            pool.info, source, f"{pool.path}-along", networks=len(pool), trajectories=True
        )
        raise ValueError(
            f"{', '.join(along)} look along training, and the pool {pool.path} has no weights "
            f"along the way; train one that has first: {made}"
        )
    return found


def _pool(path: Path, dataset: Dataset, source: str, along: bool) -> Pool:
    """Return a pool that is finished, and was trained on all of these very images."""
    if not (path / RECORD).exists():
        made = pretrain_command(None, source, path, trajectories=along)
        raise ValueError(f"`--pool`: {path} holds no pool; train one first: {made}")
    record = read_record(path)
    if not record["finished"]:
        info = from_plain(PoolInfo, record["info"])
        made = pretrain_command(info, source, path, networks=record["networks"])
        raise ValueError(f"`--pool`: {path} is not finished; finish it first: {made}")
    pool = Pool(path)
    own = pool.info.dataset
    if own.fingerprint != dataset.fingerprint() or pool.info.classes:
        what = "some classes" if own.fingerprint == dataset.fingerprint() else "another dataset"
        all_classes = dataclasses.replace(pool.info, classes=())
        made = pretrain_command(all_classes, source, f"{path}-{dataset.name}", networks=len(pool))
        raise ValueError(
            f"`--pool`: {path} was trained on {what} ({own.name}, SHA-256 {own.fingerprint[:16]}), "
            f"and the sets are studied on {dataset.name} ({dataset.fingerprint()[:16]}); train "
            f"networks on it first: {made}"
        )
    return pool
