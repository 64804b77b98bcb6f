"""`stillhouse train`: train finite networks on a distilled set, and on real images beside it."""

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from stillhouse.analysis.baselines import train_baseline
from stillhouse.analysis.train_result import TrainResult
from stillhouse.analysis.training import TrainConfig, TrainProgress, train_networks
from stillhouse.analysis.training_figures import training_curves
from stillhouse.data.atomic import write_bytes
from stillhouse.data.dataset import Dataset
from stillhouse.data.distilled import DistilledSet
from stillhouse.data.siamese import siamese_augmentation
from stillhouse.data.transforms import Transform
from stillhouse.launch.bars import Bar
from stillhouse.launch.errors import STOPPED, CommandError, bad_input, one_line
from stillhouse.launch.sets import dataset_for, is_own, load_set, transform_for
from stillhouse.launch.settings.sets import SetConfig
from stillhouse.launch.settings.train import TrainConfig as Settings
from stillhouse.methods.coresets import check_support_size
from stillhouse.networks.descent import programs_for

_DISTILLED = "distilled"
_NAMES = {"random": "random real", "kmeans": "k-means", "average": "class averages"}


@dataclasses.dataclass(frozen=True, eq=False)
class _Subject:
    """What networks are trained for: the set, and the data that belong to it."""

    distilled: DistilledSet
    dataset: Dataset
    transform: Transform
    names: tuple[str, ...]


def run(settings: Settings) -> int:
    """Train on the set and its baselines, print their test accuracies, and return the exit code.

    Raises:
        CommandError: if something is wrong with the set, the dataset or the settings, the result
            cannot be written, or every network that is trained on the set diverges.
    """
    descent = dataclasses.asdict(settings.descent)
    augmentation = siamese_augmentation(descent.pop("augment"))
    config = TrainConfig(settings.network.spec, **descent, augmentation=augmentation)
    quiet = settings.output.json
    with bad_input():
        out = _folder(settings)
        subject = _subject(settings)
        shape, classes = subject.dataset.image_shape, subject.dataset.num_classes
        programs = programs_for(config.network, config.objective, shape, classes)
        programs.check_batch(min(config.batch_size, len(subject.distilled.images)))
    if is_own(subject.distilled, subject.dataset) is False:
        print("note: the set was distilled from other data than these", file=sys.stderr)
    if not quiet:
        print(_plan(config, subject), file=sys.stderr)
    results, failures = _train_all(config, subject, quiet)
    report = _report(settings, subject, results, failures)
    if quiet:
        print(json.dumps(report))
    else:
        print(_what_was_trained(config, subject, results[_DISTILLED]))
    if out is not None:
        for name, result in results.items():
            report["sets"][name]["runs"] = [dataclasses.asdict(run) for run in result.runs]
        with bad_input():
            out.mkdir(parents=True, exist_ok=True)
            write_bytes(out / "train.json", json.dumps(report, indent=1).encode())
            training_curves({_name(k): v for k, v in results.items()}, out / "train.png")
        if not quiet:
            print(f"{out}: train.json, train.png")
    return 0


def _folder(settings: Settings) -> Path | None:
    """Return where results go; what cannot be written is noticed here, at once."""
    if settings.output.out is None:
        return None
    folder = Path(settings.output.out).expanduser().absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        raise NotADirectoryError(20, "not a folder", str(existing))
    if not os.access(existing, os.W_OK | os.X_OK):
        raise PermissionError(13, "no permission to write in this folder", str(existing))
    return Path(settings.output.out).expanduser()


def _subject(settings: Settings) -> _Subject:
    asked = SetConfig(dataset=settings.data.dataset, transform=settings.data.transform)
    distilled = load_set(settings.file, settings.reading.max_bytes)
    dataset = dataset_for(asked, settings.file, distilled, settings.reading)
    transform = transform_for(asked, settings.file, distilled, dataset)
    baselines = tuple(name for name in settings.data.baseline if name != "none")
    if baselines:
        try:
            check_support_size(len(distilled.images), dataset.num_classes, dataset.y_train)
        except ValueError as error:
            raise ValueError(f"no baseline of this size: {error}; or --baseline=none") from error
    return _Subject(distilled, dataset, transform, (_DISTILLED, *baselines))


def _plan(config: TrainConfig, subject: _Subject) -> str:
    """Return what is about to be done, in a line."""
    sets = ", ".join(_name(name) for name in subject.names)
    networks = config.seeds * len(subject.names)
    return (
        f"training {networks} networks ({config.seeds} on each of {sets}), {config.steps:,} steps "
        f"each, {networks * config.steps:,} in all"
    )


def _train_all(
    config: TrainConfig, subject: _Subject, quiet: bool
) -> tuple[dict[str, TrainResult], dict[str, str]]:
    """Train on each set; return what came of it, and of those that diverge why."""
    results: dict[str, TrainResult] = {}
    failures: dict[str, str] = {}
    total = config.steps * config.seeds * len(subject.names)
    with Bar(total, "training", unit="step", at_once=True) as bar:
        for name in subject.names:
            # Compiling takes longer than a step, and has none yet.
            bar.say(text=_name(name), details="compiling")
            try:
                results[name] = _train(config, subject, name, bar)
                line = _line(results[name])
            except FloatingPointError as error:
                failures[name] = line = one_line(error)
                if name == _DISTILLED:
                    raise CommandError(line, STOPPED) from error
            if not quiet:
                bar.write(f"{_name(name):<16}{line}")
    return results, failures


def _train(config: TrainConfig, subject: _Subject, name: str, bar: Bar) -> TrainResult:
    begun = subject.names.index(name) * config.seeds * config.steps

    def progress(now: TrainProgress) -> None:
        bar.say(details=f"loss {now.loss:.4f}")
        bar.update(begun + now.network * config.steps + now.step - bar.count)

    distilled, dataset, transform = subject.distilled, subject.dataset, subject.transform
    if name != _DISTILLED:
        size = len(distilled.images)
        return train_baseline(config, name, dataset, transform, size, progress=progress)
    x_test = transform.apply(dataset.x_test)
    return train_networks(
        config, distilled.images, distilled.labels, x_test, dataset.y_test, progress=progress
    )


def _line(result: TrainResult) -> str:
    rates = result.learning_rates
    rate = f"{min(rates):.4g}"
    if max(rates) > min(rates):
        rate += f" to {max(rates):.4g}"
    text = f"test accuracy {result.mean:.4f} +- {result.std:.4f}, learning rate {rate}"
    if result.diverged:
        first = result.diverged[0]
        text += (
            f"; without {len(result.diverged)} of {len(result.runs)} networks that diverged "
            f"(seed {first.seed} at step {first.diverged_at})"
        )
    return text


def _what_was_trained(config: TrainConfig, subject: _Subject, result: TrainResult) -> str:
    return (
        f"{result.train_images} images, {result.test_images:,} test images of "
        f"{subject.dataset.name}, transform {subject.transform.kind}, {config.network} "
        f"({result.num_parameters:,} parameters), {config.seeds} seeds, "
        f"{config.steps} steps, {config.loss}"
    )


def _report(
    settings: Settings,
    subject: _Subject,
    results: dict[str, TrainResult],
    failures: dict[str, str],
) -> dict[str, Any]:
    """Return the result for JSON, without the curves."""
    sets: dict[str, Any] = {}
    for name in subject.names:
        sets[name] = {"error": failures[name]} if name in failures else results[name].to_dict()
        sets[name].pop("runs", None)
    return {
        "file": settings.file,
        "dataset": subject.dataset.name,
        "same_dataset": is_own(subject.distilled, subject.dataset),
        "transform": subject.transform.kind,
        "network": settings.network.spec.to_dict(),
        "training": dataclasses.asdict(settings.descent),
        "sets": sets,
    }


def _name(name: str) -> str:
    return _NAMES.get(name, name)
