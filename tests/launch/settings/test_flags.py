import dataclasses

import pytest

from stillhouse.launch.catalogue import COMMANDS
from stillhouse.launch.settings.flags import HelpAsked, help_text, parse
from stillhouse.launch.settings.run import DistillConfig
from stillhouse.launch.settings.sets import EvaluateConfig
from stillhouse.methods.kernel_regression.kip_settings import KipSettings
from stillhouse.methods.kernel_regression.label_solve_settings import LabelSolveSettings
from stillhouse.methods.method import Method


def test_nothing_given_is_all_defaults():
    assert parse(DistillConfig, []) == (DistillConfig(), frozenset())


def test_flags_become_fields_of_their_types():
    config, given = parse(
        DistillConfig,
        [
            "--steps=7",
            "--learning_rate",
            "0.1",
            "--nolearn_labels",
            "--augment",
            "--ensemble=fc:1,conv:2",
            "--out=x",
            "--b_std=0",
        ],
    )
    assert (config.own.steps, config.own.learning_rate) == (7, 0.1)
    assert (config.own.learn_labels, config.own.augment) == (False, True)
    assert config.own.ensemble == ("fc:1", "conv:2")
    assert (config.run.out, config.own.b_std) == ("x", 0.0)
    names = ("steps", "learning_rate", "learn_labels", "augment", "ensemble", "out", "b_std")
    assert given == set(names)


def test_a_default_that_is_given_is_known_as_given():
    assert parse(DistillConfig, ["--ipc=1"])[1] == {"ipc"}


@pytest.mark.parametrize(
    "named", [["--method=label_solve"], ["--method", "label_solve"], ["-method=label_solve"]]
)
def test_the_settings_are_those_of_the_method(named):
    config, given = parse(DistillConfig, [*named, "--target_batch=30"])
    assert config.own == LabelSolveSettings(target_batch=30)
    assert given == {"method", "target_batch"}


@pytest.mark.parametrize("flag", ["--decay", "--nodecay", "--steps=3", "--ensemble=fc:1"])
def test_a_flag_of_another_method_is_refused_with_the_methods_that_have_it(flag):
    name = flag.lstrip("-").removeprefix("no").partition("=")[0]
    message = f"`--{name}` has no meaning for --method=label_solve, only for kip( and .*)?; drop it"
    with pytest.raises(ValueError, match=message):
        parse(DistillConfig, [flag, "--method=label_solve"])


def test_help_shows_the_settings_of_the_method_that_is_asked_for():
    common = help_text(DistillConfig, "usage", "about", ())
    assert "\nKIP:\n" in common and "\nkernel regression:\n" in common and "--steps" in common
    solve = help_text(DistillConfig, "usage", "about", (), ["--method=label_solve"])
    assert "--architecture" in solve and "--seed" in solve and "--steps" not in solve
    assert "those of --method=kip" in solve


def test_the_file_may_stand_anywhere():
    for arguments in (["x.npz", "--json"], ["--json", "x.npz"]):
        config, _ = parse(EvaluateConfig, arguments)
        assert (config.file, config.output.json) == ("x.npz", True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--stepz=3"], "--stepz; did you mean --steps?"),
        (["--learnlabels"], "did you mean --learn_labels?"),
        (["--nolern_labels"], "did you mean --nolearn_labels?"),
        (["--qqqqqqq"], "see --help"),
        (["--iterations=2"], "--iterations; did you mean --steps?"),
        (["--lr=2"], "--lr; did you mean --learning_rate?"),
        (["--output_dir=x"], "--output_dir; did you mean --out?"),
        (["--images_per_class=2"], "--images_per_class; did you mean --ipc?"),
        (["--dataset="], "`--dataset` is empty"),
        (["--split="], "`--split` is empty"),
        (["--steps=many"], "`--steps` must be a whole number, got 'many'"),
        (["--steps=1.5"], "got '1.5'"),
        (["--steps"], "steps"),
        (["--method=gan"], "kip|label_solve"),
        (["--augment=perhaps"], "augment"),
        (["--steps=-3"], "1 or more, got -3"),
        (["kip"], "unexpected argument 'kip'"),
        (["--flagfile=nowhere"], "nowhere"),
    ],
)
def test_what_is_wrong_is_named(arguments, says):
    with pytest.raises(ValueError) as error:
        parse(DistillConfig, arguments)
    assert says in str(error.value)


def test_a_missing_file_and_one_too_many():
    with pytest.raises(ValueError, match="FILE is missing"):
        parse(EvaluateConfig, ["--json"])
    with pytest.raises(ValueError, match="FILE is missing"):
        parse(EvaluateConfig, [""])
    with pytest.raises(ValueError, match="unexpected argument 'b'"):
        parse(EvaluateConfig, ["a", "b"])


@pytest.mark.parametrize("asked", ["-h", "--help"])
def test_help_goes_before_all_else(asked):
    with pytest.raises(HelpAsked):
        parse(DistillConfig, ["--stepz", asked])


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_every_flag_with_its_choices_and_default(name):
    command = COMMANDS[name]
    text = help_text(command.config, "usage", command.about, command.examples)
    for group in dataclasses.fields(command.config):
        kind = KipSettings if group.type is Method else group.type
        if not dataclasses.is_dataclass(kind):
            continue
        for field in dataclasses.fields(kind):
            assert f"{field.name}" in text
            if field.metadata["choices"]:
                assert f"--{field.name}={'|'.join(field.metadata['choices'])}" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_help_are_right(name):
    for example in COMMANDS[name].examples:
        program, command, *arguments = example.split()
        assert (program, command) == ("stillhouse", name)
        parse(COMMANDS[name].config, arguments)


def test_defaults_are_shown():
    text = " ".join(help_text(DistillConfig, "usage", "about", ()).split())
    for shown in ("(default: 1000)", "(default: 0.1)", "(default: kip)", "(default: on)"):
        assert shown in text
    assert "seed of everything random (default: 0)" in text


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--ipc=abc", "`--ipc` must be a whole number, got 'abc'"),
        ("--steps=1.5", "`--steps` must be a whole number, got '1.5'"),
        ("--learning_rate=x", "`--learning_rate` must be a number, got 'x'"),
        ("--decay=maybe", "`--decay` must be true or false, got 'maybe'"),
        ("--out=", "`--out` is empty: give a value, or drop it"),
    ],
)
def test_wrong_values_are_told_in_our_own_words(flag, says):
    with pytest.raises(ValueError) as error:
        parse(DistillConfig, [flag])
    assert str(error.value) == says
