"""The commands that compute again what a report or a card says."""

import dataclasses
import shlex
from typing import Any

from stillhouse.analysis.report import Command
from stillhouse.data.card import Card
from stillhouse.launch.report.kernels import ChosenKernel
from stillhouse.launch.settings.report import ReportConfig
from stillhouse.launch.settings.run import DistillConfig, MethodConfig
from stillhouse.methods.registry import METHODS

# Where a run ran does not change what it gives, and neither does this.
_ALWAYS = ("dataset", "method", "seed")  # The same as by default, but worth saying.
_NOT_ASKED = ("ipc", "out", "threads", "checkpoint_every", "eval_every")


def report_command(config: ReportConfig, **changes: Any) -> str:
    """Return the command of a report, with other values for some flags."""
    groups = [getattr(config, field.name) for field in dataclasses.fields(config)]
    flags = [flag for group in groups[1:] for flag in _flags(group, changes)]
    return shlex.join(["stillhouse", "report", config.file, *flags])


def evaluate_command(config: ReportConfig, source: str, kernel: ChosenKernel | None = None) -> str:
    """Return the command that scores the set on all test images.

    Args:
        config: of the report.
        source: the dataset, by its name or path.
        kernel: under which; None for the set's own.
    """
    asked = {"dataset": source}
    if kernel is not None and kernel.named.family is not None:
        asked |= {"architecture": kernel.named.family, "depth": str(kernel.named.depth)}
        asked |= {"W_std": "", "b_std": "", "global_pool": ""}
    if kernel is not None and kernel.named.kind is not None:
        asked["kernel"] = kernel.named.kind
    return shlex.join(["stillhouse", "evaluate", config.file, *_flags(config.set, asked)])


def distill_command(card: Card) -> str | None:
    """Return the command of the run that made a set; None where it was none."""
    settings = dict(card.config)
    if not {"dataset", "support_size", "method"} <= settings.keys():
        return None
    if settings["method"] not in METHODS:
        return None
    defaults = DistillConfig(method=MethodConfig(settings["method"]))
    flags = []
    for group in dataclasses.fields(defaults):
        for field in dataclasses.fields(getattr(defaults, group.name)):
            value = settings.get(field.name, field.default)
            value = tuple(value) if isinstance(value, list) else value
            if field.name in _NOT_ASKED:
                continue
            if value != field.default or field.name in _ALWAYS:
                flags.append(_flag(field.name, value))
    return shlex.join(["stillhouse", "distill", *flags, "--out=runs/again"])


def score_commands(config: ReportConfig, card: Card, source: str) -> list[Command]:
    """Return the scores of a card, each with the command that computes it again.

    Args:
        config: of the report.
        card: of the set.
        source: the dataset, by its name or path.
    """
    evaluate = evaluate_command(config, source)
    again = distill_command(card)
    found = []
    for name, value in card.scores.items():
        command: str | None = evaluate
        why = "on all test images"
        if name.startswith("train_"):
            command = again
            why = "on a sample of the training images that is the run's own; the run gives it again"
        elif name.startswith("published_"):
            why = "as published; what this file gives:"
        elif not name.startswith("test_"):
            command, why = again, "by the run"
        is_share = name.endswith("accuracy")
        shown = f"{100 * value:.2f} %" if is_share else f"{value:.6g}"
        found.append(Command(name.replace("_", " "), shown, command, why))
    return found


def _flags(group: Any, changes: dict[str, Any]) -> list[str]:
    """Return the flags of a group of settings that are not as they are by default."""
    found = []
    for field in dataclasses.fields(group):
        value = changes.get(field.name, getattr(group, field.name))
        if value != field.default and value != "":
            found.append(_flag(field.name, value))
    return found


def _flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no{name}"
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"--{name}={text.removesuffix('.0') if isinstance(value, float) else text}"
