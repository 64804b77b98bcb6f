import subprocess
import sys

import pytest

import stillhouse as package
from stillhouse.launch.catalogue import COMMANDS

ENTRY = "import sys; from stillhouse.launch.main import main; code = main(); "


def test_every_command_is_listed(stillhouse):
    for arguments in ([], ["--help"], ["help"]):
        result = stillhouse(*arguments)
        assert (result.code, result.err) == (0, "")
        for command in COMMANDS.values():
            assert command.name in result.out and command.summary in result.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(stillhouse, name):
    result = stillhouse(name, "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"usage: stillhouse {name}")
    assert f"  stillhouse {name}" in result.out


def test_the_version_is_that_of_the_package(stillhouse):
    assert stillhouse("--version").out == f"stillhouse {package.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["distil"], "did you mean distill?"),
        (
            ["frobnicate"],
            "there are distill, plan, evaluate, train, compare, pretrain, study, baselines, show",
        ),
    ],
)
def test_an_unknown_command_is_one_line(stillhouse, arguments, says):
    result = stillhouse(*arguments)
    assert (result.code, result.out) == (2, "")
    assert says in result.err and result.err.count("\n") == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_flag_is_one_line_with_the_nearest_one(refused, name):
    assert "--backen; did you mean --backend?" in refused("distill", "--backen=xla")
    assert "unknown flag --nonsense" in refused(name, "--nonsense=3")


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_does_not_wait_for_jax(arguments):
    code = ENTRY + "sys.exit(code or bool({'jax', 'matplotlib', 'sklearn'} & set(sys.modules)))"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def test_ctrl_c_while_an_extension_is_loaded_is_no_failed_import(stillhouse, monkeypatch):
    from stillhouse.launch.commands import status

    def loading(config):
        raise ImportError("initialization failed") from KeyboardInterrupt()

    monkeypatch.setattr(status, "run", loading)
    result = stillhouse("status", "runs/digits")
    assert (result.code, result.err) == (130, "stillhouse status: error: interrupted\n")


def test_a_reader_that_has_had_enough_is_no_error():
    command = [sys.executable, "-c", "import time; time.sleep(0.5)\n" + ENTRY + "sys.exit(code)"]
    with subprocess.Popen(
        [*command, "distill", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == b""
