"""How many workers one server keeps busy, by stubs that sleep instead of computing.

    python benchmarks/scheduling.py                          # prints the tables
    python benchmarks/scheduling.py --write docs             # also writes docs/scheduling.md
    python benchmarks/scheduling.py --workers 8 --rounds 2 --fleets 16 --no-steps

First for real: a server as `stillhouse serve` has it, and stubs that lease, fetch, sleep and
complete over gRPC on this machine, as threads of a few processes. All of them share its cores
with the server, so this is a lower bound. Then simulated, with the same scheduler on a virtual
clock, and the costs that were measured: processor time of the server for each call, and for each
byte that it sends or takes in. Last, steps of methods whose tasks are timed here.
"""

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from stubs import COLUMNS, LARGE, PATIENCE, ROWS, SMALL, free_port

from stillhouse.kernels import KernelSpec, convnet, fc
from stillhouse.kernels.tiling import cross_tiles
from stillhouse.launch.calibration import sample_step
from stillhouse.launch.fleet import ServerCosts, StepSizes, best_tile_elements, plan_step
from stillhouse.launch.prepare import prepare
from stillhouse.launch.settings.run import (
    ComputeConfig,
    DataConfig,
    DistillConfig,
    MethodConfig,
    SupportConfig,
)
from stillhouse.methods.kernel_regression.tiled import outline_step
from stillhouse.methods.registry import method_for
from stillhouse.server.planned import planned
from stillhouse.server.simulation import simulate

STUBS = Path(__file__).with_name("stubs.py")
# Blocks for each simulated worker: as a pass may have, and so many that the first, when all ask at
# once, and the last, when some have none, hardly matter.
SIMULATED_ROUNDS = (40, 120)
# KIP with 50 images of each of ten classes, on workers that are as fast both ways.
PAPER = StepSizes(KernelSpec(convnet()), LARGE, 500, 5000, target_bytes=1)
FAST = 250_000  # kernel elements a second
STEPS = {
    "rfad": {"networks": 8, "target_batch": 500},
    "dm": {"width": 128, "target_batch": 640},
}


@dataclasses.dataclass(frozen=True)
class Measured:
    """What one measurement found: wall clock and processor time of the server, and the rest."""

    workers: int
    rounds: int
    tasks: int
    seconds: float
    busy: float
    processor: float
    calls: int
    down: int
    up: int
    memory_gb: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--seconds", type=float, default=0.5, help="what a block takes")
    parser.add_argument(
        "--rounds", type=int, nargs="+", default=[20, 60], help="blocks for each worker"
    )
    parser.add_argument("--processes", type=int, default=4, help="that hold the stubs")
    parser.add_argument("--simulated", type=int, nargs="+", default=[512])
    parser.add_argument("--transport", choices=("grpc", "courier"), default="grpc")
    parser.add_argument("--fleets", type=int, nargs="+", default=[16, 64, 128, 256])
    parser.add_argument("--steps", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--write", type=Path, help="folder for scheduling.md")
    options = parser.parse_args()
    lines = report(options)
    print("\n".join(lines))
    if options.write:
        (options.write / "scheduling.md").write_text("\n".join(lines) + "\n")


def measure(workers: int, rounds: int, options: argparse.Namespace, **changed: object) -> Measured:
    """Start a server and its stubs, and return what they found."""
    given = {"seconds": options.seconds, "rounds": rounds, "kind": "calls", **changed}
    given["transport"] = options.transport
    flags = [f"--{name}={value}" for name, value in given.items()]
    port = free_port()
    server = child("server", workers, port, *flags)
    shares = [len(range(i, workers, options.processes)) for i in range(options.processes)]
    stubs = [child("workers", share, port, *flags) for share in shares if share]
    try:
        served = answer_of(server)
        slept = [answer_of(process) for process in stubs]
    finally:
        for process in (server, *stubs):
            process.kill()
    asleep = sum(found["asleep"] for found in slept)
    busy = asleep / (workers * served["seconds"])
    found = Measured(workers=workers, rounds=rounds, busy=busy, **served)
    print(f"{workers} workers, {rounds} blocks, {given['kind']}: busy {busy:.1%}", file=sys.stderr)
    return found


def child(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, str(STUBS), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def answer_of(process: subprocess.Popen) -> dict[str, float]:
    output, _ = process.communicate(timeout=PATIENCE)
    if process.returncode:
        sys.exit("a process of stubs failed")
    return json.loads(output.splitlines()[-1])


def costs_of(options: argparse.Namespace, calls: Measured) -> ServerCosts:
    """Return what a call costs, and a byte either way: what large blocks cost beyond their calls.

    The bytes of blocks that go down, and of their cotangents, are packed and hashed in that time.
    """
    call = calls.processor / calls.calls
    rates = {}
    for way in ("down", "up"):
        found = measure(8, 4 * max(options.rounds), options, kind=way, seconds=0.05)
        rest = found.processor - call * found.calls
        rates[way] = getattr(found, way) / max(rest, 1e-3)
    return dataclasses.replace(ServerCosts(), call=call, **rates)


def simulated(workers: int, rounds: int, costs: ServerCosts, seconds: float) -> list[str]:
    """Return a row: small images, and large ones forwards and backwards."""
    cells = [f"{workers:,}", f"{rounds}"]
    for shape, backward in ((SMALL, False), (LARGE, False), (LARGE, True)):
        rows = workers * rounds // 10 * ROWS
        tiles = cross_tiles(rows, 10 * COLUMNS, elements=ROWS * COLUMNS)
        passes = outline_step(KernelSpec(fc(1)), tiles, shape, 1)
        played = simulate(
            planned(passes[backward]),
            workers=workers,
            seconds_per_unit=seconds / (ROWS * COLUMNS),
            rpc_seconds=costs.call,
            bytes_per_second=costs.down,
            bytes_per_second_up=costs.up,
            byte_threads=costs.threads,
            poll_seconds=costs.poll,
        )
        cells += [f"{played.busy_share:.1%}", f"{played.server_share:.1%}"]
    return cells


def fleet(workers: int, costs: ServerCosts) -> list[str]:
    """Return a row: a step of KIP on so many fast workers, by the tiles chosen for them."""
    speed = {"forward": 1 / FAST, "backward": 1 / FAST}
    elements = best_tile_elements(PAPER, workers, **speed, costs=costs)
    cells = [f"{workers}", "the usual" if elements is None else f"{elements:,}"]
    for sizes in (dataclasses.replace(PAPER, tile_elements=elements), PAPER):
        plan = plan_step(sizes, workers, **speed, alone=0.0, costs=costs)
        moved = (plan.bytes_down + plan.bytes_up) / 1e6
        cells += [f"{plan.seconds:.2f}", f"{plan.busy_share:.0%}", f"{moved:,.0f}"]
    return cells


def step_of(method: str, settings: dict[str, int], costs: ServerCosts) -> list[str]:
    """Return a row: what the tasks of a step cost a worker, and the server."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npz"
        labels = np.arange(1000) % 10
        np.savez(path, images=rng.integers(0, 256, (1000, *LARGE), np.uint8), labels=labels)
        config = DistillConfig(
            data=DataConfig(str(path)),
            support=SupportConfig(ipc=10),
            method=MethodConfig(method),
            own=method_for(method, **settings, steps=2),
            compute=ComputeConfig(threads=1),
        )
        tasks = sample_step(prepare(config, for_real=False))
    every = [task for tasks_of_pass in tasks.passes for task in tasks_of_pass]
    down = sum(task.bytes_down + sum(task.blobs.values()) for task in every)
    up = sum(task.bytes_up for task in every)
    moving = (down / costs.down + up / costs.up) / costs.threads
    # A task is handed in, and the next is lent, in one call; another fetches.
    serving = max(2 * costs.call * len(every), moving) / len(every)
    each = tasks.seconds / len(every)
    widest = max(map(len, tasks.passes))
    said = ", ".join(f"{name} {value}" for name, value in settings.items())
    return [
        f"{method}, {said.replace('_', ' ')}",
        f"{len(every)}, {widest} at a time",
        f"{each:.3g}",
        f"{down / 1e6:,.1f}, {up / 1e6:,.1f}",
        f"{serving * 1e3:.2f}",
        *(f"{each / speed / serving:,.0f}" for speed in (1, 10, 100)),
    ]


def report(options: argparse.Namespace) -> list[str]:
    """Return the tables, as Markdown."""
    measured = [measure(n, rounds, options) for n in options.workers for rounds in options.rounds]
    costs = costs_of(options, measured[-1])
    size = " x ".join(map(str, LARGE))
    lines = [
        "# How many workers one server keeps busy",
        "",
        f"By `python benchmarks/scheduling.py`, on {os.cpu_count()} cores of {platform.machine()}, "
        f"Python {platform.python_version()}. A block takes {options.seconds:g} s, in which a "
        "worker sleeps. Workers wait at the beginning of a pass, when all of them ask at once, and "
        "at its end, when some have no block more; so the more blocks each of them has, the less.",
        "",
        f"## Measured, over {options.transport} on this machine, the workers on the same cores",
        "",
        "| workers | blocks each | tasks/s | busy | server's processor | a call, us | "
        "server's memory, GB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {found.workers} | {found.rounds} | {found.tasks / found.seconds:,.0f} | "
            f"{found.busy:.1%} | {found.processor / found.seconds:.1%} | "
            f"{found.processor / found.calls * 1e6:.0f} | {found.memory_gb:.2f} |"
            for found in measured
        ),
        "",
        f"A second of the server's processor sends {costs.down / 1e6:,.0f} MB of images, packed "
        f"and hashed once, and takes in {costs.up / 1e6:,.0f} MB of gradients, checked and added. "
        "What workers that wait for tasks cost, `python benchmarks/transports.py` measures.",
        "",
        "## Simulated, with a call and a byte at the costs above",
        "",
        f"Bytes are moved by {costs.threads} threads beside the one that answers calls, as gRPC "
        "has more. Each with the share of time for which workers, and the server's busiest thread, "
        f"are busy: with images of {' x '.join(map(str, SMALL))}, where calls cost, and with "
        f"images of {size}, where bytes do: in a forward pass the images, the rows' as bytes, in a "
        "backward pass also the gradients.",
        "",
        "| workers | blocks each | small: busy | server | forward: busy | server | "
        "backward: busy | server |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {' | '.join(simulated(n, rounds, costs, options.seconds))} |"
            for n in options.simulated
            for rounds in SIMULATED_ROUNDS
        ),
        "",
        "## A step of KIP on fast workers",
        "",
        f"{PAPER.support} support images, {PAPER.targets:,} targets, {size}, a worker computes "
        f"{FAST:,} kernel elements a second, there and back; without the ridge regression. On the "
        "left by the tiles that `--workers_planned` chooses, on the right by the usual ones.",
        "",
        "| workers | tile, elements | s | busy | MB | usual: s | busy | MB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(f"| {' | '.join(fleet(workers, costs))} |" for workers in options.fleets),
    ]
    if options.steps:
        lines += [
            "",
            "## Steps of other methods",
            "",
            "Ten images of each of ten classes. A task is timed here, on one core; a server feeds "
            "as many workers as the last columns say, if a step has as many tasks at a time.",
            "",
            "| method | tasks of a step | s a task | MB down, up | server, ms a task | "
            "feeds workers as fast | ten times | a hundred times |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
            *(f"| {' | '.join(step_of(*each, costs))} |" for each in STEPS.items()),
        ]
    return lines


if __name__ == "__main__":
    main()
