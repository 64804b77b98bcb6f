import dataclasses
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pytest

from stillhouse.launch.main import main

ENTRY = "import sys; from stillhouse.launch.main import main; sys.exit(main())"
PATIENCE = 150.0  # seconds that anything may take at all
# What a command imports before it computes takes it longer than what most tests have it compute.
# Processes are forked off one that has imported this and done nothing else.
_IMPORTED = (
    "jax.numpy",
    "optax",
    "stillhouse.analysis.steps",
    "stillhouse.kernels.fused.backend",
    "stillhouse.launch.commands.distill",
    "stillhouse.launch.commands.serve",
    "stillhouse.launch.commands.worker",
    "stillhouse.launch.engines.grpc_server",
    "stillhouse.launch.main",
    "stillhouse.methods.kernel_regression.kip",
)
# The process of a command before its own entry is run.
_BEGIN = """
import os, sys
os.setpgid(0, 0)
os.chdir({folder!r})
os.environ.clear()
os.environ.update({environment!r})
import jax  # Has read the environment when it was imported.
disabled = os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] != "0"
jax.config.update("jax_disable_most_optimizations", disabled)
said = os.open({output!r}, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
os.dup2(said, 1)
os.dup2(said, 2)
sys.argv[1:] = {arguments!r}
"""


class Forked:
    """A process that was forked, as `subprocess.Popen` has one that was started anew."""

    def __init__(self, program):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(_IMPORTED))
        self._process = context.Process(target=exec, args=(program, {"__name__": "__main__"}))
        self._process.start()
        self.pid = self._process.pid

    def poll(self):
        return self._process.exitcode

    def wait(self, seconds=None):
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", seconds)
        return self._process.exitcode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command ended with."""

    code: int
    out: str
    err: str


@pytest.fixture
def stillhouse(capsys, tmp_path, monkeypatch):
    """Run a command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return run


@pytest.fixture
def refused(stillhouse, tmp_path):
    """Run a command that must be refused: one line, exit code 2, and nothing left behind."""

    def run(*arguments):
        before = sorted(tmp_path.rglob("*"))
        result = stillhouse(*arguments)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"stillhouse {arguments[0]}: error: ")
        assert result.err.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before
        return result.err

    return run


@pytest.fixture(scope="session")
def spots(tmp_path_factory):
    """A small dataset in a file: three kinds of bright spots on noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 3
    images = rng.integers(0, 120, (240, 6, 6))
    images[np.arange(240), 1 + labels, 2] += 130
    path = tmp_path_factory.mktemp("data") / "spots.npz"
    np.savez(path, images=images.astype(np.uint8), labels=labels)
    return path


SMALL = ("--architecture=fc", "--depth=1", "--steps=12", "--eval_every=5", "--checkpoint_every=4")


@pytest.fixture(scope="session")
def finished(spots, tmp_path_factory):
    """A finished run of KIP on the spots."""
    folder = tmp_path_factory.mktemp("runs") / "spots"
    assert main(["distill", f"--dataset={spots}", f"--out={folder}", *SMALL]) == 0
    return folder


@pytest.fixture
def small(spots):
    return (f"--dataset={spots}", *SMALL)


@pytest.fixture(scope="session")
def bits():
    """What must be the same after a resumed run, to the bit."""

    def read(folder):
        result = json.loads((Path(folder) / "result.json").read_text())
        del result["seconds"]
        lines = [
            json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()
        ]
        metrics = [
            {k: v for k, v in line.items() if k != "seconds" and not k.endswith("_per_second")}
            for line in lines
        ]
        with np.load(Path(folder) / "distilled.npz") as archive:
            arrays = {name: archive[name].tobytes() for name in ("images", "labels")}
        return arrays, metrics, result

    return read


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

    def start(self, *arguments, first="", anew=False, within=()):
        """Start a command.

        Args:
            *arguments: the command's.
            first: what its process does before.
            anew: import everything in it, as what comes first would have no effect otherwise.
            within: what starts it in its stead, such as in another network.
        """
        output = self._folder / f"{arguments[0]}-{len(self._started)}.txt"
        name, _, value = self._mark.partition("=")
        environment = {**os.environ, name: value, "TF_CPP_MIN_LOG_LEVEL": "3"}
        arguments = [str(argument) for argument in arguments]
        output.touch()
        program = f"{first}\n{ENTRY}"
        if not (anew or within):
            begin = _BEGIN.format(
                folder=str(self._folder),
                environment=environment,
                output=str(output),
                arguments=arguments,
            )
            process = Forked(begin + program)
        else:
            with open(output, "wb") as file:
                process = subprocess.Popen(
                    [*within, sys.executable, "-c", program, *arguments],
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
        found, started = [], {command.pid for command in self._started}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                state, _, group = (path / "stat").read_text().rpartition(")")[2].split()[:3]
                marked = self._mark.encode() in (path / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            # What was forked has the environment of before, but a group of its own.
            if state != "Z" and (marked or int(group) in started):
                found.append(int(path.name))
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


@pytest.fixture(scope="module")
def lasting_processes(tmp_path_factory):
    """As `processes`, for what takes long to end: it does while other tests of the file run."""
    started = Processes(tmp_path_factory.mktemp("lasting"))
    yield started
    assert started.end() == []


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


@pytest.fixture(scope="session")
def wait_for_step():
    """Wait until a run has come so far."""

    def wait(command, folder, step):
        eventually(lambda: steps_of(folder) >= step, f"at step {step}", command=command)

    return wait


@pytest.fixture(name="eventually")
def eventually_fixture():
    return eventually
