"""How many workers one server keeps busy, by stubs that sleep instead of computing.

    python benchmarks/scheduling.py                          # prints the tables
    python benchmarks/scheduling.py --write docs             # also writes docs/scheduling.md
    python benchmarks/scheduling.py --workers 8 --rounds 2   # a quick look

First for real: a server as `stillhouse serve` has it, and stubs that lease, fetch, sleep and
complete over Courier on this machine, as threads of a few processes. All of them share its cores
with the server, so this is a lower bound. Then simulated, with the same scheduler on a virtual
clock, and the costs that were measured: processor time of the server for each call.
"""

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from stubs import COLUMNS, LARGE, PATIENCE, ROWS, SMALL, free_port

from stillhouse.kernels import KernelSpec, fc
from stillhouse.kernels.tiling import cross_tiles
from stillhouse.methods.kernel_regression.tiled import outline_step
from stillhouse.server.planned import planned
from stillhouse.server.simulation import simulate

STUBS = Path(__file__).with_name("stubs.py")
# Blocks for each simulated worker: enough that the first and the last hardly matter.
SIMULATED_ROUNDS = 60
GOAL = 95  # percent of the time
COLUMN_OF = {"Small images": 1, "Large images, forward": 3, "Large images, backward": 5}


@dataclasses.dataclass(frozen=True)
class Measured:
    """What one measurement found: wall clock and processor time of the server, and the rest."""

    workers: int
    tasks: int
    seconds: float
    busy: float
    processor: float
    calls: int
    memory_gb: float

    @property
    def call_seconds(self) -> float:
        """Processor time of the server for each call."""
        return self.processor / self.calls


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[32, 128, 256, 512])
    parser.add_argument("--seconds", type=float, default=0.5, help="what a block takes")
    parser.add_argument("--rounds", type=int, default=20, help="blocks for each worker")
    parser.add_argument("--processes", type=int, default=4, help="that hold the stubs")
    parser.add_argument("--simulated", type=int, nargs="+", default=[512, 1024, 2048, 4096])
    parser.add_argument("--write", type=Path, help="folder for scheduling.md")
    options = parser.parse_args()
    measured = [measure(workers, options) for workers in options.workers]
    lines = report(measured, options)
    print("\n".join(lines))
    if options.write:
        (options.write / "scheduling.md").write_text("\n".join(lines) + "\n")


def measure(workers: int, options: argparse.Namespace) -> Measured:
    """Start a server and its stubs, and return what they found."""
    port = free_port()
    server = child(options, "server", workers, port)
    shares = [len(range(i, workers, options.processes)) for i in range(options.processes)]
    stubs = [child(options, "workers", share, port) for share in shares if share]
    try:
        output, _ = server.communicate(timeout=PATIENCE)
        if server.returncode:
            sys.exit("the server failed")
        served = json.loads(output)
        slept = [json.loads(process.communicate(timeout=PATIENCE)[0]) for process in stubs]
    finally:
        for process in (server, *stubs):
            process.kill()
    asleep = sum(found["asleep"] for found in slept)
    found = Measured(workers=workers, busy=asleep / (workers * served["seconds"]), **served)
    print(f"{workers} workers: busy {found.busy:.1%}", file=sys.stderr)
    return found


def child(options: argparse.Namespace, *role: object) -> subprocess.Popen:
    flags = [f"--seconds={options.seconds}", f"--rounds={options.rounds}"]
    command = [sys.executable, str(STUBS), *map(str, role), *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def bandwidth(options: argparse.Namespace) -> float:
    """Return the bytes that a server sends in a second, to a client in its own process."""
    output, _ = child(options, "bandwidth").communicate(timeout=PATIENCE)
    return json.loads(output)["bytes_per_second"]


def simulated(workers: int, call: float, rate: float, options: argparse.Namespace) -> list[str]:
    """Return a row: small images, and large ones forwards and backwards."""
    cells = [f"{workers:,}"]
    for shape, backward in ((SMALL, False), (LARGE, False), (LARGE, True)):
        rows = workers * SIMULATED_ROUNDS // 10 * ROWS
        tiles = cross_tiles(rows, 10 * COLUMNS, elements=ROWS * COLUMNS)
        passes = outline_step(KernelSpec(fc(1)), tiles, shape)
        played = simulate(
            planned(passes[backward]),
            workers=workers,
            seconds_per_unit=options.seconds / (ROWS * COLUMNS),
            rpc_seconds=call,
            bytes_per_second=rate,
        )
        cells += [f"{played.busy_share:.1%}", f"{played.server_share:.1%}"]
    return cells


def report(measured: list[Measured], options: argparse.Namespace) -> list[str]:
    """Return the tables, as Markdown."""
    call, rate = measured[-1].call_seconds, bandwidth(options)
    rows = [simulated(workers, call, rate, options) for workers in options.simulated]
    size = " x ".join(map(str, LARGE))
    return [
        "# How many workers one server keeps busy",
        "",
        f"By `python benchmarks/scheduling.py`, on {os.cpu_count()} cores of {platform.machine()}, "
        f"Python {platform.python_version()}. A block takes {options.seconds:g} s, in which a "
        f"worker sleeps; there are {options.rounds} of them for each, simulated "
        f"{SIMULATED_ROUNDS}.",
        "",
        "## Measured, over Courier on this machine, the workers on the same cores",
        "",
        "| workers | tasks/s | busy | server's processor | a call, us | server's memory, GB |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {found.workers} | {found.tasks / found.seconds:,.0f} | {found.busy:.1%} | "
            f"{found.processor / found.seconds:.1%} | {found.call_seconds * 1e6:.0f} | "
            f"{found.memory_gb:.2f} |"
            for found in measured
        ),
        "",
        f"A server on this machine sends {rate / 1e6:,.0f} MB/s.",
        "",
        "## Simulated, with a call and a byte at the costs above",
        "",
        f"Each with the share of time for which workers, and the server, are busy: with images of "
        f"{' x '.join(map(str, SMALL))}, where calls cost, and with images of {size}, where bytes "
        "do: in a forward pass the images, in a backward pass also the gradients.",
        "",
        "| workers | small: busy | server | forward: busy | server | backward: busy | server |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(f"| {' | '.join(cells)} |" for cells in rows),
        "",
        *(saturation(name, rows, column) for name, column in COLUMN_OF.items()),
    ]


def saturation(name: str, rows: list[list[str]], column: int) -> str:
    """Return where workers begin to wait, in words."""
    for before, after in zip([None, *rows], rows, strict=False):
        if float(after[column].rstrip("%")) < GOAL:
            last = "fewer than the table begins with" if before is None else f"{before[0]} workers"
            full = float(after[column + 1].rstrip("%")) > GOAL
            why = "the server has no time left" if full else "the last tasks are waited for"
            return f"- {name}: busy for {GOAL} % up to {last}; with {after[0]} {why}."
    return f"- {name}: busy for {GOAL} % with {rows[-1][0]} workers, and perhaps more."


if __name__ == "__main__":
    main()
