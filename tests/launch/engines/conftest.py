import dataclasses
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

ENTRY = "import sys; from stillhouse.launch.main import main; sys.exit(main())"
PATIENCE = 150.0  # seconds that anything may take at all


@dataclasses.dataclass
class Command:
    """A command in a process of its own; what it says goes to a file."""

    process: subprocess.Popen
    output: Path

    @property
    def said(self):
        return self.output.read_text()

    def wait(self, seconds=PATIENCE):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s:\n{self.said}") from None

    def send(self, number):
        self.process.send_signal(number)

    @property
    def pid(self):
        return self.process.pid


class Processes:
    """Starts commands, and knows all that they started, by a mark in the environment."""

    def __init__(self, folder):
        self._folder, self._mark = folder, f"STILLHOUSE_TEST={uuid.uuid4().hex}"
        self._started = []

    def start(self, *arguments, entry=ENTRY, within=()):
        """Start a command; `entry` is the program, where it is not the command's own.

        And `within` is what starts it in its stead, such as in another network.
        """
        output = self._folder / f"{arguments[0]}-{len(self._started)}.txt"
        name, _, value = self._mark.partition("=")
        environment = {**os.environ, name: value, "TF_CPP_MIN_LOG_LEVEL": "3"}
        with open(output, "wb") as file:
            process = subprocess.Popen(
                [*within, sys.executable, "-c", entry, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=environment,
            )
        command = Command(process, output)
        self._started.append(command)
        return command

    def alive(self):
        """The processes that descend from what was started."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark.encode() not in (path / "environ").read_bytes().split(b"\0"):
                    continue
                if (path / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found.append(int(path.name))
            except OSError:
                continue
        return found

    def end(self):
        """End them all, and return who had to be made to though its parent had ended."""
        until = time.monotonic() + 20
        for command in self._started:
            command.process.kill()
            command.process.wait(PATIENCE)
        while (left := self.alive()) and time.monotonic() < until:
            time.sleep(0.1)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return left


@pytest.fixture
def processes(tmp_path):
    """Start commands as processes; none of them outlives the test, nor what they started."""
    started = Processes(tmp_path)
    yield started
    assert started.end() == []


@pytest.fixture
def port():
    """A port at which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        return listener.getsockname()[1]


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
