"""Whether the result is the same to the bit, whoever computes it and whatever happens to them.

    python benchmarks/bits.py                        # the engines that are installed here
    python benchmarks/bits.py --data DATA            # and a run on DATA/mnist
    python benchmarks/bits.py --write FILE           # also write a page

Launchpad and Courier are for Python 3.10, Ray needs an environment of its own: two pages.
Runs of 20 steps, of KIP and through gradient steps of networks, each in processes of its own on
loopback, against the same run in one process: images, labels and scores are compared byte by byte.
Accidents are real: SIGKILL and SIGSTOP, in moments drawn from a fixed seed.
"""

import argparse
import dataclasses
import importlib.util
import json
import os
import platform
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

STEPS, HEARTBEAT, PATIENCE = 20, 1.0, 600.0
SETTINGS = (f"--steps={STEPS}", "--eval_every=0", "--checkpoint_every=4")
CONVNET = ("--dataset=digits", "--ipc=2", "--target_batch=500")
UNROLLED = (
    *("--method=dd", "--dataset=digits", "--network=convnet", "--width=8", "--depth=2"),
    *("--distill_steps=4", "--networks=4", "--target_batch=300"),
)
FC = ("--architecture=fc", "--depth=1", "--ipc=10", "--target_batch=5000")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder in which the folder mnist lies")
    parser.add_argument("--write", type=Path, help="the page to write, such as docs/bits.md")
    options = parser.parse_args()
    problems = {
        "KIP, ConvNet, digits, 20 images": CONVNET,
        "DD, 4 ConvNets a step, digits, 40 images": UNROLLED,
    }
    if options.data:
        problems["KIP, FC, MNIST, 100 images"] = (
            *FC,
            f"--dataset={options.data.resolve() / 'mnist'}",
        )
    lines = ["| run | by | seconds | bits |", "| --- | --- | --- | --- |"]
    print("\n".join(lines), flush=True)
    for name, problem in problems.items():
        with tempfile.TemporaryDirectory() as folder:
            for line in compare(name, problem, Path(folder)):
                lines.append(line)
                print(line, flush=True)
    if options.write:
        before = options.write.read_text() if options.write.exists() else ""
        _, heading, others = before.partition("\n## ")  # What benchmarks/kinds.py has printed.
        options.write.write_text(report(lines, options.write) + heading + others)


def compare(name: str, problem: tuple[str, ...], folder: Path) -> Iterator[str]:
    """Yield a line of the table for each way to run the problem."""
    expected = None
    for way, run in WAYS.items():
        if not all(map(importlib.util.find_spec, NEEDS.get(way.split(",")[0], ()))):
            continue
        stage = Stage(folder / way.replace(" ", "-"), problem)
        start = time.monotonic()
        try:
            run(stage)
        finally:
            stage.end()
        found = bits(stage.run)
        expected = expected or found
        same = "same" if found == expected else "DIFFERENT"
        yield f"| {name} | {way} | {time.monotonic() - start:.0f} | {same} |"


@dataclasses.dataclass
class Stage:
    """Where a run goes, and the processes that belong to it."""

    folder: Path
    problem: tuple[str, ...]
    processes: list["subprocess.Popen[bytes]"] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.run = self.folder / "run"
        with socket.socket() as listener:
            listener.bind(("", 0))
            self.address = f"localhost:{listener.getsockname()[1]}"

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        with open(self.folder / f"{len(self.processes)}-{arguments[0]}.txt", "wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "stillhouse.launch.main", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=environment,
            )
        self.processes.append(process)
        return process

    def distill(self, *arguments: str) -> None:
        finish(self.start("distill", *self.problem, *SETTINGS, f"--out={self.run}", *arguments))

    def serve(self) -> "subprocess.Popen[bytes]":
        own = (f"--address={self.address}", f"--heartbeat={HEARTBEAT}", f"--out={self.run}")
        return self.start("serve", *self.problem, *SETTINGS, *own, "--transport=courier")

    def worker(self) -> "subprocess.Popen[bytes]":
        courier = (f"--server={self.address}", "--transport=courier")
        return self.start("worker", *courier, "--threads=1")

    def step(self) -> int:
        metrics = self.run / "metrics.jsonl"
        lines = metrics.read_text().splitlines() if metrics.exists() else []
        return json.loads(lines[-1])["step"] if lines and lines[-1].endswith("}") else 0

    def wait_for(self, step: int, server: "subprocess.Popen[bytes]") -> bool:
        """Wait until a step is done, and return whether the run still goes on."""
        while self.step() < step and server.poll() is None:
            time.sleep(0.005)
        return server.poll() is None

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


def finish(process: "subprocess.Popen[bytes]") -> None:
    code = process.wait(PATIENCE)
    if code:
        sys.exit(f"{process.args} ended with {code}")


def by_hand(workers: int) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        server = stage.serve()
        for _ in range(workers):
            stage.worker()
        finish(server)

    return run


def killed_in_every_step(stage: Stage) -> None:
    server, worker = stage.serve(), stage.worker()
    for step in range(1, STEPS):
        if stage.wait_for(step, server):
            # The next one joins late, in the middle of a step that has lost its only worker.
            worker.send_signal(signal.SIGKILL)
            worker = stage.worker()
    finish(server)


def stopped_beyond_its_lease(stage: Stage) -> None:
    server = stage.serve()
    workers = [stage.worker(), stage.worker()]
    for step in range(2, STEPS, 6):
        if stage.wait_for(step, server):
            sleeper = random.Random(step).choice(workers)
            sleeper.send_signal(signal.SIGSTOP)
            time.sleep(3 * HEARTBEAT)
            # It wakes with tasks that others have done, and hands them in once more.
            sleeper.send_signal(signal.SIGCONT)
    finish(server)


def server_killed(stage: Stage) -> None:
    rng = random.Random(0)
    server = stage.serve()
    stage.worker(), stage.worker()
    for first in (2, 8, 14):
        if stage.wait_for(first + rng.randrange(4), server):
            server.send_signal(signal.SIGKILL)
            server.wait()
            server = stage.serve()
    finish(server)


WAYS: dict[str, Callable[[Stage], None]] = {
    "local": lambda stage: stage.distill(),
    "Launchpad, 1 worker": lambda stage: stage.distill("--engine=launchpad", "--workers=1"),
    "Launchpad, 2 workers": lambda stage: stage.distill("--engine=launchpad", "--workers=2"),
    "Launchpad, 4 workers, 2 loaders": lambda stage: stage.distill(
        "--engine=launchpad", "--workers=4", "--loaders=2"
    ),
    "Courier, 2 workers by hand": by_hand(2),
    "Courier, the worker killed in every step and another started": killed_in_every_step,
    "Courier, a worker stopped for longer than its lease, four times": stopped_beyond_its_lease,
    "Courier, the server killed three times, its workers living on": server_killed,
    "Ray, 2 workers": lambda stage: stage.distill("--engine=ray", "--workers=2"),
}
NEEDS = {"Launchpad": ("launchpad",), "Courier": ("courier",), "Ray": ("ray",)}


def bits(run: Path) -> dict[str, object]:
    with np.load(run / "distilled.npz") as archive:
        arrays = {name: archive[name].tobytes() for name in ("images", "labels")}
    result = json.loads((run / "result.json").read_text())
    own = "step_sizes" if "step_sizes" in result else "test_mse"
    return {**arrays, "accuracy": result["test_accuracy"], own: result[own]}


def report(lines: list[str], page: Path) -> str:
    head = [
        "# The same bits",
        "",
        f"Printed by `python benchmarks/bits.py --data DATA --write docs/{page.name}`: support",
        f"images, labels and scores after {STEPS} steps, byte by byte, against the run in one",
        f"process. Python {platform.python_version()}, {os.cpu_count()} cores; seconds include",
        "starting and ending every process. All ways of a run on one processor: on another kind of",
        "device the last bits may differ, so that a run lets in",
        "[one kind](cluster.md#one-kind-of-device) only.",
        "",
    ]
    return "\n".join([*head, *lines, ""])


if __name__ == "__main__":
    main()
