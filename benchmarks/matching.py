"""Time a step of each matching method beside the same step in PyTorch, on this processor.

    python benchmarks/matching.py                     # images of MNIST's size, and of CIFAR-10's
    python benchmarks/matching.py --sizes 32x32x3 --ipc 10 --threads 2
    python benchmarks/matching.py --write docs        # also writes docs/matching.md

Each side runs in a process of its own, one after the other, in turns; the fastest step counts. Both
get random images, a ConvNet of depth 3 with instance norm, 24 real images a class, ten classes and
no augmentation. PyTorch is none of the dependencies: without it only our side is timed, and a line
says what to install.
"""

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

METHODS = ("dm", "dc", "mtt")
CLASSES, REAL, STUDENT_STEPS, RATE = 10, 24, 8, 0.01
ROUNDS, STEPS = 3, 3
MISSING = "PyTorch is not installed: pip install torch, for the other side of the table"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=["28x28x1", "32x32x3"])
    parser.add_argument("--ipc", type=int, default=1)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(timed(*options.one, options)))
        return
    sides = ["stillhouse"]
    if find_spec("torch"):
        sides.append("torch")
    else:
        print(MISSING)
    found: dict[tuple[str, str, str], float] = {}
    for _ in range(ROUNDS):
        for step in itertools.product(options.sizes, METHODS, sides):
            seconds = in_a_process(*step, options)
            found[step] = min(seconds, found.get(step, seconds))
    table = as_table(found, sides)
    print(table)
    if options.write:
        (options.write / "matching.md").write_text(head(options) + table)


def head(options: argparse.Namespace) -> str:
    """Return what stands above the table on its page."""
    images, threads = numbered(options.ipc, "image"), numbered(options.threads, "thread")
    packages = [f"{name} {version(name)}" for name in ("torch", "jax") if find_spec(name)]
    python = ".".join(platform.python_version_tuple()[:2])
    text = (
        f"Milliseconds a step, by `python benchmarks/matching.py`: {images} a class, {REAL} real "
        f"ones, a ConvNet of width {options.width}, {threads} of {processor()}; Python {python}, "
        f"{', '.join(packages)}. A ratio is PyTorch's time over ours."
    )
    return "\n".join(["# A step of matching, here and in PyTorch", "", *wrap(text, 100), "", ""])


def numbered(count: int, name: str) -> str:
    return f"{count} {name}" + ("" if count == 1 else "s")


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def as_table(found: dict[tuple[str, str, str], float], sides: list[str]) -> str:
    """Return the milliseconds of each step, and their ratio where there are two sides."""
    lines = [f"| images | step | {' | '.join(sides)} | ratio |", "| --- " * (len(sides) + 3) + "|"]
    for size, method in dict.fromkeys((size, method) for size, method, _ in found):
        times = [found[size, method, side] for side in sides]
        ratio = f"{times[1] / times[0]:.2f}" if len(times) > 1 else "-"
        shown = " | ".join(f"{1e3 * t:.0f}" for t in times)
        lines.append(f"| {size} | {method} | {shown} | {ratio} |")
    return "\n".join([*lines, ""])


def in_a_process(size: str, method: str, side: str, options: argparse.Namespace) -> float:
    """Return the seconds of a step, the fastest of a few in a process of their own."""
    threads = str(options.threads)
    flags = (f"--ipc={options.ipc}", f"--width={options.width}", f"--threads={threads}")
    environment = {**os.environ, "NPROC": threads, "OMP_NUM_THREADS": threads}
    done = subprocess.run(
        [sys.executable, __file__, "--one", size, method, side, *flags],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(json.loads(done.stdout.splitlines()[-1]))


def timed(size: str, method: str, side: str, options: argparse.Namespace) -> float:
    """Return the seconds of the fastest of a few steps, after one that compiles."""
    shape = tuple(map(int, size.split("x")))
    rng = np.random.default_rng(0)
    counts = (CLASSES * options.ipc, CLASSES * REAL)
    x_s, x_t = (rng.standard_normal((n, *shape)).astype(np.float32) for n in counts)
    make = our_step if side == "stillhouse" else torch_step
    step = make(method, x_s, x_t, options)
    step(0)
    times = []
    for number in range(1, STEPS + 1):
        started = time.perf_counter()
        step(number)
        times.append(time.perf_counter() - started)
    return min(times)


def our_step(
    method: str, x_s: np.ndarray, x_t: np.ndarray, options: argparse.Namespace
) -> Callable[[int], Any]:
    from stillhouse.methods.programs import (
        Context,
        DistributionMatch,
        GradientMatch,
        TrajectoryMatch,
    )
    from stillhouse.methods.tasks import Task, run_task
    from stillhouse.networks import NetworkSpec, build_network

    spec = NetworkSpec("convnet", width=options.width, norm="instance", prepend=False)
    context, every = Context("xla"), tuple(range(CLASSES))
    if method == "mtt":
        network = build_network(spec, x_s.shape[1:], CLASSES)
        labels = np.eye(CLASSES, dtype=np.float32)[np.arange(len(x_s)) * CLASSES // len(x_s)]
        weights = tuple(network.pack(*network.init(seed)) for seed in (0, 1))
        rate = np.array([RATE], np.float32)
        student = TrajectoryMatch(spec, STUDENT_STEPS)
        return lambda n: run_task(
            context, Task(student, (x_s, labels, *weights), (rate, np.array([n])))
        )
    program = (DistributionMatch if method == "dm" else GradientMatch)(spec, CLASSES, every)
    return lambda n: run_task(context, Task(program, (x_s, x_t), (np.array([n, n]),)))


def torch_step(
    method: str, x_s: np.ndarray, x_t: np.ndarray, options: argparse.Namespace
) -> Callable[[int], Any]:
    import torch
    from torch import nn
    from torch.func import functional_call
    from torch.nn.functional import cosine_similarity, cross_entropy

    torch.set_num_threads(options.threads)
    images, real = (torch.tensor(x.transpose(0, 3, 1, 2).copy()) for x in (x_s, x_t))
    images.requires_grad_(True)
    ipc, width, channels = options.ipc, options.width, x_s.shape[3]
    pixels = (x_s.shape[1] // 8) * (x_s.shape[2] // 8)
    labels = torch.arange(CLASSES).repeat_interleave(ipc)

    def network() -> nn.Sequential:
        layers: list[nn.Module] = []
        for inputs in (channels, width, width):
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.GroupNorm(width, width)]
            layers += [nn.ReLU(), nn.AvgPool2d(2)]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * pixels, CLASSES))

    def by_class() -> Any:
        for c in range(CLASSES):
            yield c, images[c * ipc : (c + 1) * ipc], real[c * REAL : (c + 1) * REAL]

    def dm(number: int) -> Any:
        features = network()[:-1].requires_grad_(False)
        loss = torch.zeros(())
        for _, s, r in by_class():
            loss = loss + ((features(r).mean(0) - features(s).mean(0)) ** 2).sum()
        return torch.autograd.grad(loss, images)[0]

    def dc(number: int) -> Any:
        net = network()
        params = list(net.parameters())
        loss = torch.zeros(())
        for c, s, r in by_class():
            wanted = torch.autograd.grad(cross_entropy(net(r), torch.full((REAL,), c)), params)
            here = cross_entropy(net(s), torch.full((ipc,), c))
            got = torch.autograd.grad(here, params, create_graph=True)
            for a, b in zip(wanted, got, strict=True):
                if a.dim() > 1:
                    loss = loss + (1 - cosine_similarity(a.flatten(1), b.flatten(1))).sum()
        return torch.autograd.grad(loss, images)[0]

    def mtt(number: int) -> Any:
        net = network()
        start = {name: p.detach() for name, p in net.named_parameters()}
        expert = {name: p.detach() for name, p in network().named_parameters()}
        rate = torch.tensor(RATE, requires_grad=True)
        student = {name: p.clone().requires_grad_(True) for name, p in start.items()}
        for _ in range(STUDENT_STEPS):
            loss = cross_entropy(functional_call(net, student, (images,)), labels)
            slopes = torch.autograd.grad(loss, list(student.values()), create_graph=True)
            student = {
                name: p - rate * g for (name, p), g in zip(student.items(), slopes, strict=True)
            }
        missed = sum(((student[name] - expert[name]) ** 2).sum() for name in start)
        way = sum(((start[name] - expert[name]) ** 2).sum() for name in start)
        return torch.autograd.grad(missed / way, [images, rate])

    return {"dm": dm, "dc": dc, "mtt": mtt}[method]


if __name__ == "__main__":
    main()
