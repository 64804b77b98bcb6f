import dataclasses
import shlex

import pytest

from stillhouse.data.card import Card, DatasetInfo
from stillhouse.launch.report.commands import (
    distill_command,
    evaluate_command,
    report_command,
    score_commands,
)
from stillhouse.launch.report.kernels import choose_kernels
from stillhouse.launch.settings.flags import parse
from stillhouse.launch.settings.given import check_given
from stillhouse.launch.settings.report import PageConfig, ReportConfig
from stillhouse.launch.settings.run import DataConfig, DistillConfig, MethodConfig
from stillhouse.launch.settings.sets import EvaluateConfig, SetConfig
from stillhouse.methods.kernel_regression.kip_settings import KipSettings

CONFIG = ReportConfig(
    "my runs/x.npz",
    PageConfig(out="x.html", test_images=0),
    set=SetConfig(dataset="my data", transform="zca", architecture="fc", depth=2, b_std=0.0),
)


def arguments(command, name):
    program, found, *rest = shlex.split(command)
    assert (program, found) == ("stillhouse", name)
    return rest


def test_a_report_is_commanded_as_it_was_given():
    again, _ = parse(ReportConfig, arguments(report_command(CONFIG), "report"))
    assert again == CONFIG
    other, _ = parse(ReportConfig, arguments(report_command(CONFIG, kernels=("own",)), "report"))
    page = dataclasses.replace(CONFIG.page, kernels=("own",))
    assert other == dataclasses.replace(CONFIG, page=page)


def test_the_own_kernel_is_evaluated_as_the_report_was_asked_to():
    found, _ = parse(EvaluateConfig, arguments(evaluate_command(CONFIG, "data"), "evaluate"))
    assert found.file == CONFIG.file
    assert found.set == dataclasses.replace(CONFIG.set, dataset="data")


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("conv:2:nngp", {"architecture": "conv", "depth": 2, "kernel": "nngp"}),
        ("fc:1", {"architecture": "fc", "depth": 1, "kernel": "ntk"}),
    ],
)
def test_another_kernel_is_evaluated_by_its_own_flags(name, asked):
    import numpy as np

    from stillhouse.data.distilled import DistilledSet

    distilled = DistilledSet(np.zeros((2, 8, 8, 1)), np.eye(2))
    (kernel,) = choose_kernels([name], None, distilled)
    command = evaluate_command(CONFIG, "data", kernel)
    found, _ = parse(EvaluateConfig, arguments(command, "evaluate"))
    assert found.set == SetConfig(dataset="data", transform="zca", **asked)


@pytest.mark.parametrize(
    "config",
    [
        DistillConfig(),
        DistillConfig(
            data=DataConfig("a path/of data", "zca"),
            method=MethodConfig(seed=5),
            own=KipSettings(
                ensemble=("convnet:3", "fc:2"),
                kernel="nngp",
                learn_labels=False,
                decay=True,
                learning_rate=0.1,
                augment=True,
                flip=False,
            ),
        ),
        DistillConfig(method=MethodConfig("label_solve", seed=2)),
    ],
)
def test_a_run_is_commanded_from_its_card(config):
    groups = dataclasses.asdict(config)
    settings = {name: value for group in groups.values() for name, value in group.items()}
    settings |= {"support_size": 20, "target_batch": 1000, "backend": "fused", "kernels": {}}
    if config.method.method == "label_solve":
        settings["steps"] = 60  # Worked out from the data.
    for name in ("ipc", "out", "engine", "workers", "address"):
        settings.pop(name, None)
    again, given = parse(DistillConfig, arguments(distill_command(card_of(settings)), "distill"))
    check_given(again, given)
    assert again.data == config.data and again.method == config.method
    assert again.own == dataclasses.replace(config.own, target_batch=1000)
    assert again.support.support_size == 20 and again.compute.backend == "fused"


def test_a_card_of_another_program_names_no_run():
    assert distill_command(card_of({"learning_rate": 0.1})) is None


def test_each_score_has_its_command_or_a_reason():
    scores = {"test_accuracy": 0.5, "train_mse": 0.01, "published_test_accuracy": 0.6}
    card = card_of({"dataset": "d", "support_size": 10, "method": "kip"}, scores)
    test, train, published = score_commands(CONFIG, card, "d")
    assert (test.what, test.value) == ("test accuracy", "50.00 %")
    assert test.command == published.command == evaluate_command(CONFIG, "d")
    assert (train.value, train.command) == ("0.01", distill_command(card))
    assert "as published" in published.why


def card_of(settings, scores=None):
    info = DatasetInfo("x", "0", ("a", "b"), (8, 8, 1), (0.0, 1.0))
    return Card("kip", {}, settings, 0, info, scores or {})
