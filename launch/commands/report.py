"""`stillhouse report`: one page about a distilled set."""

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.analysis.report import (
    Command,
    Contents,
    Kernel,
    KrrTable,
    LeftOut,
    Networks,
    SupportSet,
    TestImages,
    baseline_sets,
    krr_table,
    report_files,
    sample_test,
)
from stillhouse.analysis.steps import rows_by_step
from stillhouse.data.atomic import write_bytes
from stillhouse.launch.bars import Bar
from stillhouse.launch.errors import bad_input, one_line
from stillhouse.launch.report.commands import evaluate_command, report_command, score_commands
from stillhouse.launch.report.kernels import ChosenKernel, choose_kernels
from stillhouse.launch.report.subject import Real, Subject, read_subject
from stillhouse.launch.sets import regularisation_for
from stillhouse.launch.settings.report import ReportConfig
from stillhouse.server.metrics import read_metrics
from stillhouse.server.run_folder import RunFolder
from stillhouse.workers.local import LocalComputer

if TYPE_CHECKING:
    from stillhouse.analysis.training import TrainConfig


def run(config: ReportConfig) -> int:
    """Write the page and its pictures, and return the exit code.

    Raises:
        CommandError: if something is wrong with the set, the dataset or the settings, or the page
            cannot be written.
    """
    with bad_input():
        page = _page(config)
        subject = read_subject(config)
        metrics = _metrics(config)
        chosen = choose_kernels(config.page.kernels, subject.kernel, subject.distilled)
        computer = LocalComputer(config.compute.backend, config.compute.threads)
        for one in chosen:
            computer.kernel(one.spec)  # Raises if the backend cannot.
        sets, missing = _sets(subject)
        training = _training(config, subject)
    real = subject.real
    krr: KrrTable | LeftOut
    networks: Networks | LeftOut
    if isinstance(real, LeftOut):
        krr, networks = real, real
    else:
        test = sample_test(real.dataset, real.transform, config.page.test_images or None)
        krr = _krr(config, subject, computer, chosen, sets, test)
        networks = _networks(config, real, training, sets, test)
    # As an epoch shows them, where there are steps.
    rows = rows_by_step(subject.distilled)
    shown = subject.distilled
    shown = dataclasses.replace(shown, images=shown.images[rows], labels=shown.labels[rows])
    before = subject.before if isinstance(subject.before, LeftOut) else subject.before[rows]
    contents = Contents(
        name=subject.name,
        distilled=shown,
        class_names=subject.class_names,
        pixel_range=subject.pixel_range,
        before=before,
        dataset=None if isinstance(real, LeftOut) else real.dataset,
        metrics=metrics,
        baselines_missing=missing,
        krr=krr,
        krr_commands=_krr_commands(config, subject, chosen, krr),
        networks=networks,
        scores=_scores(config, subject),
        again=report_command(config),
        notes=subject.notes,
    )
    files = report_files(contents, page.stem)
    with bad_input():
        _write(files, page.parent)
    print(f"{page}: {len(subject.distilled.images)} images of {config.file}")
    print(f"beside it {len(files) - 1} pictures, {page.stem}-*.png")
    for part in _left_out(contents):
        print(f"not in it: {part}")
    return 0


def _left_out(contents: Contents) -> list[str]:
    """Return what the page lacks, a line each, with the command that gives it."""
    parts = [contents.before, contents.metrics, contents.krr, contents.networks]
    found = {part.why: part.command for part in parts if isinstance(part, LeftOut)}
    if contents.baselines_missing:
        found[contents.baselines_missing] = None
    lines = [f"{why} {command or ''}".rstrip() for why, command in found.items()]
    if isinstance(contents.krr, KrrTable):
        lines += [
            f"the kernel {row.kernel.name}, for want of time" for row in contents.krr.left_out
        ]
    return lines


def _page(config: ReportConfig) -> Path:
    """Return where the page goes; a folder that cannot be written is noticed here, at once."""
    given = Path(config.file).expanduser()
    default = given / "report.html" if given.is_dir() else Path("report.html")
    page = default if config.page.out is None else Path(config.page.out).expanduser()
    if not page.parent.is_dir():
        raise FileNotFoundError(2, "no such folder", str(page.parent))
    if not os.access(page.parent, os.W_OK | os.X_OK):
        raise PermissionError(13, "no permission to write in this folder", str(page.parent))
    if page.is_dir():
        raise IsADirectoryError(21, "is a folder, not a page", str(page))
    return page


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files, each whole; where one cannot be, the new ones before it go again."""
    new: list[Path] = []
    try:
        for name, content in files.items():
            path = folder / name
            is_new = not path.exists()
            write_bytes(path, content)
            if is_new:
                new.append(path)
    except OSError:
        for path in new:
            path.unlink(missing_ok=True)
        raise


def _metrics(config: ReportConfig) -> Sequence[Mapping[str, Any]] | LeftOut:
    """Return the values of each step of the run, without any that is no finite number."""
    folder = RunFolder(Path(config.file).expanduser())
    if not folder.path.is_dir():
        return LeftOut(
            "Learning curves stand in the folder of a run; this report is of a file alone. Of a "
            "folder:",
            "stillhouse report RUN_FOLDER",
        )
    if folder.config.exists():
        folder.read_settings()  # Raises if the folder is damaged.
    found = [
        {name: value for name, value in values.items() if _is_number(value)}
        for values in read_metrics(folder.metrics)
    ]
    return found or LeftOut("The run left no metrics.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _sets(subject: Subject) -> tuple[list[SupportSet], str]:
    """Return the set and those to compare it with, or why there are none of these."""
    distilled = subject.distilled
    own = SupportSet("distilled", distilled.images, distilled.labels)
    real = subject.real
    if isinstance(real, LeftOut):
        return [own], ""
    try:
        others = baseline_sets(real.dataset, real.transform, len(distilled.images))
    except ValueError as error:
        return [own], f"There are no sets of the same size to compare with: {one_line(error)}."
    return [own, *others], ""


def _krr(
    config: ReportConfig,
    subject: Subject,
    computer: LocalComputer,
    chosen: Sequence[ChosenKernel],
    sets: Sequence[SupportSet],
    test: TestImages,
) -> KrrTable:
    named = bool(config.page.kernels)
    passes = 1 if named else 2  # A calibration before each.
    with Bar(passes * len(chosen), "kernels", unit="pass") as bar:

        def progress(name: str) -> None:
            bar.say(details=name)
            bar.update()

        return krr_table(
            computer,
            [Kernel(one.name, one.spec, one.spec == subject.kernel) for one in chosen],
            sets,
            test,
            regularisation_for(config.set, subject.distilled),
            seconds=None if named else config.page.seconds,
            progress=progress,
        )


def _training(config: ReportConfig, subject: Subject) -> "TrainConfig | None":
    if not config.networks.train:
        return None
    # Only here: the library of networks takes its time to import.
    from stillhouse.launch.report.training import train_config

    return train_config(config, subject)


def _networks(
    config: ReportConfig,
    real: Real,
    training: "TrainConfig | None",
    sets: Sequence[SupportSet],
    test: TestImages,
) -> Networks | LeftOut:
    if training is None:
        return LeftOut(
            "No networks were trained, since that takes minutes. This trains them on the set and "
            "on sets of the same size beside it:",
            report_command(config, train=True),
        )
    from stillhouse.launch.report.training import train_for_report

    return train_for_report(config, training, real, sets, test)


def _krr_commands(
    config: ReportConfig,
    subject: Subject,
    chosen: Sequence[ChosenKernel],
    krr: KrrTable | LeftOut,
) -> dict[str, str]:
    if isinstance(krr, LeftOut) or isinstance(subject.real, LeftOut):
        return {}
    left_out = {row.kernel.name for row in krr.left_out}
    return {
        one.name: report_command(config, kernels=(one.named.flag,))
        if one.name in left_out
        else evaluate_command(config, subject.real.source, one)
        for one in chosen
    }


def _scores(config: ReportConfig, subject: Subject) -> list[Command]:
    card = subject.distilled.card
    if card is None:
        return []
    stated = card.config.get("dataset", "DATASET")
    source = str(stated) if isinstance(subject.real, LeftOut) else subject.real.source
    return score_commands(config, card, source)
