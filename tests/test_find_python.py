"""The Makefile's search for a Python, on a PATH made for the test."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "find_python.sh"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
BASH = shutil.which("bash")


@pytest.fixture
def folder(tmp_path):
    """A folder for commands, with the one besides Python that the script calls."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "cat").symlink_to(shutil.which("cat"))
    return folder


def command(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!{BASH}\n{text}\n")
    path.chmod(0o755)


def find(*arguments, path, home):
    environment = {"PATH": os.pathsep.join(map(str, path)), "HOME": str(home)}
    return subprocess.run(
        [BASH, str(SCRIPT), *arguments], env=environment, capture_output=True, text=True
    )


def version_of(python):
    program = "import sys; print('%d.%d' % sys.version_info[:2], sys.prefix == sys.base_prefix)"
    return subprocess.run([python, "-c", program], capture_output=True, text=True).stdout


@pytest.mark.parametrize("arguments", [(), (f"python{VERSION}",), (VERSION,)])
def test_a_command_that_does_not_run_is_passed_over(folder, tmp_path, arguments):
    shims = tmp_path / "shims"
    command(shims / f"python{VERSION}", "echo 'pyenv: python: command not found' >&2; exit 127")
    (folder / f"python{VERSION}").symlink_to(sys.executable)
    found = find(*arguments, path=[shims, folder], home=tmp_path)
    assert found.returncode == 0, found.stderr
    # And it is the interpreter itself, not the environment that the tests run in.
    assert version_of(found.stdout.strip()) == f"{VERSION} True\n"


def test_a_version_that_only_pyenv_has_is_found(folder, tmp_path):
    python = tmp_path / ".pyenv" / "versions" / f"{VERSION}.99" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    found = find(path=[folder], home=tmp_path)
    assert version_of(found.stdout.strip()) == f"{VERSION} True\n"


def test_a_plain_python3_will_do(folder, tmp_path):
    (folder / "python3").symlink_to(sys.executable)
    found = find(path=[folder], home=tmp_path)
    assert version_of(found.stdout.strip()) == f"{VERSION} True\n"


def test_a_path_is_taken_as_it_is(folder, tmp_path):
    found = find(sys.executable, path=[folder], home=tmp_path)
    assert version_of(found.stdout.strip()) == f"{VERSION} True\n"


@pytest.mark.parametrize("arguments", [(), ("python3.12",), ("pypy3",), ("/nowhere/python3",)])
def test_without_a_python_it_says_what_to_install(folder, tmp_path, arguments):
    command(folder / "python3", "echo 3.9 /usr/bin/python3.9")  # an old one
    found = find(*arguments, path=[folder], home=tmp_path)
    assert found.returncode == 1
    assert found.stdout == ""
    assert "Python 3.10 to 3.13" in found.stderr.splitlines()[0]
    assert all(name in found.stderr for name in (*arguments, "apt-get install python3"))
