import importlib.util
import os
import subprocess
import sys

import jax  # noqa: F401  (reads the environment before a test changes it)
import pytest

PATIENCE = 150.0  # seconds that a run may take at all


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
                command = [sys.executable, "-m", "stillhouse.launch.start", *arguments]
                subprocess.run(command, timeout=PATIENCE, check=True)
            else:
                assert main(arguments) == 0
            known[problem, fully] = bits(folder)
        return known[problem, fully]

    return run
