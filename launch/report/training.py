"""The finite networks of a report."""

import shlex
from collections.abc import Sequence

import numpy as np

from stillhouse.analysis.report import LeftOut, Networks, SupportSet, TestImages, train_on_each
from stillhouse.analysis.training import TrainConfig, TrainProgress, train_networks
from stillhouse.launch.bars import Bar
from stillhouse.launch.report.subject import Real, Subject
from stillhouse.launch.settings.report import ReportConfig
from stillhouse.networks import NetworkSpec
from stillhouse.networks.descent import programs_for


def train_config(config: ReportConfig, subject: Subject) -> TrainConfig:
    """Return how networks are trained.

    Raises:
        ValueError: if there is no such network for these images.
    """
    asked, distilled = config.networks, subject.distilled
    found = TrainConfig(
        NetworkSpec(asked.network, width=asked.width), steps=asked.train_steps, seeds=asked.seeds
    )
    height, width, channels = distilled.images.shape[1:]
    shape = height, width, channels
    programs_for(found.network, found.objective, shape, distilled.num_classes)
    return found


def train_for_report(
    config: ReportConfig,
    training: TrainConfig,
    real: Real,
    sets: Sequence[SupportSet],
    test: TestImages,
) -> Networks | LeftOut:
    """Train networks on each set, and return what came of it.

    Args:
        config: of the report.
        training: from `train_config`.
        real: the real images.
        sets: the set and those beside it.
        test: the images to predict.
    """
    classes = np.asarray(test.labels.argmax(axis=1), np.int64)
    steps = training.steps * training.seeds * len(sets)
    with Bar(steps, "training", unit="step", at_once=True) as bar:

        def report(progress: TrainProgress) -> None:
            bar.update()

        def train(one: SupportSet) -> Sequence[float]:
            bar.say(details=one.name)
            try:
                result = train_networks(
                    training, one.images, one.labels, test.images, classes, progress=report
                )
            except FloatingPointError:  # All of them diverged.
                return ()
            return result.test_accuracies

        return train_on_each(
            sets, test, train, network=_in_words(training), command=_command(config, real)
        )


def _in_words(training: TrainConfig) -> str:
    return (
        f"Networks of the kind {training.network}, trained for {training.steps:,} steps of "
        f"gradient descent with loss {training.loss}, labels of {training.label_scale:g} times the "
        f"size of one-hot ones, momentum {training.momentum:g}, L2 {training.l2:g} and a learning "
        f"rate of {training.rate_factor:g} times the largest stable one; {training.seeds} on each "
        "set"
    )


def _command(config: ReportConfig, real: Real) -> str:
    asked = config.networks
    flags = [f"--dataset={real.source}"]
    if config.set.transform is not None:
        flags.append(f"--transform={config.set.transform}")
    flags += [f"--network={asked.network}"]
    if asked.width is not None:
        flags.append(f"--width={asked.width}")
    flags += [f"--steps={asked.train_steps}", f"--seeds={asked.seeds}", "--baseline=none"]
    return shlex.join(["stillhouse", "train", config.file, *flags])
