import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ENTRY = "import sys; from stillhouse.launch.main import main; sys.exit(main())"
PATIENCE = 150.0  # seconds that anything may take at all


@pytest.fixture
def transport(request):
    """What carries calls: gRPC, or what a test is parametrised by."""
    name = getattr(request, "param", "grpc")
    if name == "courier" and importlib.util.find_spec("courier") is None:
        pytest.skip("needs Courier, which is for Python 3.10")
    return name


@pytest.fixture
def listens(transport, port):
    """The flags by which a server listens."""
    return (f"--address=localhost:{port}", f"--transport={transport}")


@pytest.fixture
def calls(transport, port, tmp_path):
    """The flags by which one calls a server whose run folder is `run`."""
    token = {"grpc": (f"--token_file={tmp_path / 'run' / 'token'}",), "courier": ()}[transport]
    return (f"--server=localhost:{port}", f"--transport={transport}", *token)


def eventually(condition, what, seconds=PATIENCE, command=None):
    """Wait until a condition holds, and return what it gives."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        if command is not None and command.process.poll() is not None:
            raise AssertionError(f"ended before {what}:\n{command.said}")
        time.sleep(0.02)
    raise AssertionError(f"not {what} after {seconds} s\n{command.said if command else ''}")


def steps_of(folder):
    """How many steps a run has recorded."""
    metrics = Path(folder) / "metrics.jsonl"
    if not metrics.exists():
        return 0
    lines = metrics.read_text().splitlines()
    return json.loads(lines[-1])["step"] if lines and lines[-1].endswith("}") else 0


@pytest.fixture(name="steps_of")
def steps_of_fixture():
    return steps_of


@pytest.fixture
def wait_for_step():
    """Wait until a run has come so far."""

    def wait(command, folder, step):
        eventually(lambda: steps_of(folder) >= step, f"at step {step}", command=command)

    return wait


@pytest.fixture(name="eventually")
def eventually_fixture():
    return eventually


@pytest.fixture
def fully_compiled(monkeypatch):
    """Let the processes of a test compile as those of users do."""
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "0")


@pytest.fixture(scope="session")
def locally(tmp_path_factory, bits):
    """The bits of a run in one process that compiles alike, computed once for each problem."""
    from stillhouse.launch.main import main

    known = {}

    def run(problem):
        fully = os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "0"
        if (problem, fully) not in known:
            folder = tmp_path_factory.mktemp("local") / "run"
            arguments = ["distill", *problem, f"--out={folder}"]
            if fully:  # This process does not.
                command = [sys.executable, "-c", ENTRY, *arguments]
                subprocess.run(command, timeout=PATIENCE, check=True)
            else:
                assert main(arguments) == 0
            known[problem, fully] = bits(folder)
        return known[problem, fully]

    return run
