"""Time a step by one worker and by two, and what a server between adds.

    python benchmarks/scaling.py                        # prints the table
    python benchmarks/scaling.py --repeats 1 --steps 3  # a quick look

Every run is a `stillhouse distill` of its own. One after the other they alternate over the kinds
below, and the fastest of the repeats counts: the median time of a step, its first one left out.

    local, 1 and 2 threads      how the kernel itself scales on two cores
    1 and 2 workers, 1 thread   how workers do; their efficiency is the ratio of the two scalings
    1 worker, 2 threads         its overhead over local with 2 threads: messages and the server

The network is a ConvNet and the batch large enough that a step takes seconds; on another engine
(`--engine ray`) the same.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ENTRY = "import sys; from stillhouse.launch.main import main; sys.exit(main())"
# Workers, where 0 is this process alone, and threads of each.
KINDS = ((0, 1), (0, 2), (1, 1), (2, 1), (1, 2))
PATIENCE = 1800  # seconds a run may take


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--engine", choices=("launchpad", "ray"), default="launchpad")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--architecture", default="convnet")
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--target_batch", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    runs: dict[tuple[int, int], list[float]] = {kind: [] for kind in KINDS}
    for _ in range(options.repeats):
        for kind in KINDS:
            runs[kind].append(seconds_of_a_step(kind, options))
            print(f"{name(kind, options.engine)}: {runs[kind][-1]:.3f} s a step", file=sys.stderr)
    print("\n".join(table({kind: min(times) for kind, times in runs.items()}, options)))


def seconds_of_a_step(kind: tuple[int, int], options: argparse.Namespace) -> float:
    """Run one kind, and return the median time of a step, without the first."""
    workers, threads = kind
    with tempfile.TemporaryDirectory() as folder:
        flags = [
            f"--dataset={options.dataset}",
            f"--architecture={options.architecture}",
            f"--ipc={options.ipc}",
            f"--target_batch={options.target_batch}",
            f"--steps={options.steps}",
            f"--checkpoint_every={options.steps}",
            "--eval_every=0",
            f"--threads={threads}",
            f"--out={folder}/run",
        ]
        if workers:
            flags += [f"--engine={options.engine}", f"--workers={workers}"]
        done = subprocess.run(
            [sys.executable, "-c", ENTRY, "distill", *flags],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        if done.returncode:
            sys.exit(f"{name(kind, options.engine)} failed:\n{done.stderr[-2000:]}")
        return median_step(Path(folder) / "run" / "metrics.jsonl")


def median_step(metrics: Path) -> float:
    """Return the median time between two records of steps."""
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    seconds = [line["seconds"] for line in lines if "loss" in line]
    assert len(seconds) > 2, "a first step, which compiles, and two more"
    pauses = [after - before for before, after in zip(seconds, seconds[1:], strict=False)]
    return statistics.median(pauses)


def name(kind: tuple[int, int], engine: str) -> str:
    workers, threads = kind
    who = f"{engine}, {workers} worker{'s' * (workers > 1)}" if workers else "local"
    return f"{who}, {threads} thread{'s' * (threads > 1)}"


def table(best: dict[tuple[int, int], float], options: argparse.Namespace) -> list[str]:
    """Return the report, as Markdown."""
    kernel = best[0, 1] / best[0, 2]
    workers = best[1, 1] / best[2, 1]
    overhead = best[1, 2] / best[0, 2] - 1
    return [
        f"{options.architecture} on {options.dataset}: {options.ipc} images per class, "
        f"{options.target_batch:,} targets.",
        "",
        "| who | seconds a step |",
        "| --- | --- |",
        *(f"| {name(kind, options.engine)} | {best[kind]:.3f} |" for kind in KINDS),
        "",
        "| what | reached | goal |",
        "| --- | --- | --- |",
        f"| the kernel's scaling, 1 to 2 threads | {kernel:.3f} | |",
        f"| workers' scaling, 1 to 2 of one thread | {workers:.3f} | |",
        f"| workers' efficiency against the kernel's | {workers / kernel:.3f} | 0.9 |",
        f"| overhead of one worker over local | {overhead:.1%} | 5 % |",
    ]


if __name__ == "__main__":
    main()
