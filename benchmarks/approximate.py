"""Exact kernel against random features: seconds a step, and accuracy against time, on one core.

    python benchmarks/approximate.py --dataset DATA/mnist --ipc 1 10 --seconds 200 --out mnist.png
    python benchmarks/approximate.py --ipc 1 --seconds 10        # a quick look, on digits
    python benchmarks/approximate.py --errors --out errors.png   # of the estimate, in seconds

For each number of images a class KIP runs by the exact kernel, by features of fresh networks and by
those of cached groups, each for as many steps as its seconds give, along a cosine to zero. One that
is not done with `FEWEST` steps by then is timed only. The exact kernel scores all three, on the
first `--tests` test images; scoring is not counted. Printed is a table, drawn are the curves.

With `--errors` nothing runs: it shows how far the kernel of a few images by features is from the
exact one as networks are added, beside the law 1 / sqrt(networks x width).
"""

import argparse
import dataclasses
import math
import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from problem import add_problem, problem_flags

from stillhouse.data.dataset import Dataset
from stillhouse.launch.prepare import prepare
from stillhouse.launch.settings.flags import parse
from stillhouse.launch.settings.run import DistillConfig
from stillhouse.methods.algorithm import Algorithm
from stillhouse.workers.local import LocalRunner

WAYS = {
    "exact": ["--method=kip", "--loss=cross_entropy", "--decay", "--target_batch=100"],
    "features": ["--method=rfad", "--networks=8"],
    "cached": ["--method=rfad", "--networks=16", "--cached_groups=8", "--redraw=20"],
}
FEWEST = 5
MARKS = 5  # times that a run is scored
# Steps before those by which a run is sized, and how many these are: the first one compiles, and
# the first ones of cached groups fill these, of which each later one has its share.
TIMED = {"exact": (1, 2), "features": (1, 2), "cached": (40, 40)}

WIDTHS = (8, 32)
MOST_NETWORKS = 256
_IMAGES, _DRAWS = 20, 25

Curve = list[tuple[float, float]]
"""Seconds of steps, and the accuracy after them."""


def main() -> None:
    """Print the table, and draw the curves."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add_problem(parser)
    parser.add_argument("--ipc", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--target_batch", type=int, default=500, help="of the features")
    parser.add_argument("--learning_rate", type=float, default=0.1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--tests", type=int, default=2000)
    parser.add_argument("--errors", action="store_true", help="of the estimate, and nothing else")
    parser.add_argument("--out", help="the picture to write")
    options = parser.parse_args()
    os.environ["NPROC"] = "1"  # XLA's threads, before it looks for devices.
    if options.errors:
        show_errors(options)
        return
    found: dict[tuple[int, str], tuple[float, Curve]] = {}
    print("\n".join(header(options)))
    for ipc in options.ipc:
        for way in WAYS:
            found[ipc, way] = run(ipc, way, options)
            print(row(ipc, way, *found[ipc, way]), flush=True)
    if options.out:
        draw(found, options.out)


def run(ipc: int, way: str, options: argparse.Namespace) -> tuple[float, Curve]:
    """Return the seconds of a step, and the curve of a run; none where it would be too short."""
    first, timed = TIMED[way]
    algorithm, dataset = begun(ipc, way, options, first + timed)
    times = [seconds for seconds, _ in stepped(algorithm, first + timed)]
    step = (times[-1] - times[first - 1]) / timed
    steps = int(options.seconds / max(step, 1e-9))
    if steps < FEWEST:
        return step, []
    algorithm, _ = begun(ipc, way, options, steps, dataset)
    curve, scored = [], {steps * mark // MARKS for mark in range(1, MARKS + 1)}
    for number, (seconds, state) in enumerate(stepped(algorithm, steps), start=1):
        if number in scored:
            curve.append((seconds, algorithm.score(state)["test_accuracy"]))
    return curve[-1][0] / steps, curve


def begun(
    ipc: int,
    way: str,
    options: argparse.Namespace,
    steps: int,
    dataset: Dataset | None = None,
) -> tuple[Algorithm[Any], Dataset]:
    """Return the method of a run of so many steps, and the data with fewer test images."""
    flags = [
        *problem_flags(options),
        *(f"--ipc={ipc}", f"--learning_rate={options.learning_rate}"),
        *("--eval_every=0", f"--steps={steps}"),
        *([] if way == "exact" else [f"--target_batch={options.target_batch}"]),
        *WAYS[way],
    ]
    config, _ = parse(DistillConfig, flags)
    job = prepare(config, dataset, for_real=False)
    few = dataclasses.replace(
        job.dataset,
        x_test=job.dataset.x_test[: options.tests],
        y_test=job.dataset.y_test[: options.tests],
    )
    job = prepare(config, few, for_real=False)
    transform = job.fit_transform()
    batches = job.batches(transform, augmented=False)
    return job.algorithm(transform, batches, job.runner, lambda: False), few


def stepped(algorithm: Algorithm[Any], steps: int) -> Iterator[tuple[float, Any]]:
    """Take steps; yield the seconds of all of them so far, and the state."""
    state, spent = algorithm.begin(), 0.0
    for number in range(1, steps + 1):
        started = time.perf_counter()
        state, _ = algorithm.advance(state, number)
        spent += time.perf_counter() - started
        yield spent, state


def header(options: argparse.Namespace) -> list[str]:
    """Return what stands above the rows, as Markdown."""
    marks = " | ".join(f"accuracy at {mark}/{MARKS}" for mark in range(1, MARKS + 1))
    return [
        f"{options.architecture} on {options.dataset}, {options.seconds:g} s of one core each, "
        f"{options.target_batch:,} targets (exact: 100), rate {options.learning_rate:g}.",
        "",
        f"| images a class | by | seconds a step | {marks} |",
        f"| --- | --- | --- |{' --- |' * MARKS}",
    ]


def row(ipc: int, way: str, step: float, curve: Curve) -> str:
    """Return a row of the table."""
    scores = [f"{accuracy:.4f}" for _, accuracy in curve] or ["-"] * MARKS
    return f"| {ipc} | {way} | {step:.3g} | {' | '.join(scores)} |"


def draw(found: dict[tuple[int, str], tuple[float, Curve]], out: str) -> None:
    """Draw the curves, a panel for each number of images a class."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    sizes = list(dict.fromkeys(ipc for ipc, _ in found))
    figure, panels = plt.subplots(1, len(sizes), figsize=(4 * len(sizes), 3.2), squeeze=False)
    for panel, size in zip(panels[0], sizes, strict=True):
        for (ipc, way), (_, curve) in found.items():
            if ipc == size and curve:
                color = f"C{list(WAYS).index(way)}"
                panel.plot(*zip(*curve, strict=True), marker="o", label=way, color=color)
        panel.set(title=f"{size} a class", xlabel="seconds of one core", ylabel="test accuracy")
        panel.legend()
    figure.tight_layout()
    figure.savefig(out)


def show_errors(options: argparse.Namespace) -> None:
    """Print the errors of the estimate, and draw them."""
    found = {width: errors(width, options) for width in WIDTHS}
    print("\n".join(error_rows(found)))
    if options.out:
        draw_errors(found, options.out)


def errors(width: int, options: argparse.Namespace) -> Curve:
    """Return for 1, 2, 4 and more networks the relative error of the kernel of some images.

    In the Frobenius norm; the root mean square of several draws.
    """
    from stillhouse.kernels.kernel import kernel
    from stillhouse.methods.kernel_regression.features import FeatureTasks, network_seeds
    from stillhouse.methods.programs import Context

    config, _ = parse(DistillConfig, problem_flags(options))
    job = prepare(config, for_real=False)
    images = job.fit_transform().apply(job.dataset.x_train[:_IMAGES])
    (spec,) = job.config.own.kernels().values()
    exact = kernel(spec).gram(images).astype(np.float64)
    tasks, each = FeatureTasks(spec, width, LocalRunner(Context("xla", threads=1))), []
    counts = [2**power for power in range(int(math.log2(MOST_NETWORKS)) + 1)]
    for draw in range(_DRAWS):
        (found,) = tasks.features(network_seeds(0, draw, MOST_NETWORKS), images)
        kernels = (tasks.kernel(found[:count], found[:count]) for count in counts)
        each.append([np.linalg.norm(K - exact) / np.linalg.norm(exact) for K in kernels])
    mean = np.sqrt(np.mean(np.square(each), axis=0))
    return list(zip(map(float, counts), mean.tolist(), strict=True))


def error_rows(found: dict[int, Curve]) -> list[str]:
    """Return the errors as a table, as Markdown."""
    counts = [f"{count:g}" for count, _ in next(iter(found.values()))]
    lines = [f"| networks | {' | '.join(counts)} |", f"| --- |{' --- |' * len(counts)}"]
    for width, curve in found.items():
        lines.append(f"| width {width} | {' | '.join(f'{error:.3f}' for _, error in curve)} |")
    return lines


def draw_errors(found: dict[int, Curve], out: str) -> None:
    """Draw errors against networks, each width with the law from its first point on."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panel = plt.subplots(figsize=(4.6, 3.0))
    constant = np.median(
        [error * math.sqrt(n * width) for width, curve in found.items() for n, error in curve]
    )
    for width, curve in found.items():
        counts, measured = zip(*curve, strict=True)
        (line,) = panel.loglog(counts, measured, "o", label=f"width {width}")
        law = [constant / math.sqrt(n * width) for n in counts]
        panel.loglog(counts, law, "--", color=line.get_color(), linewidth=1)
    panel.set(xlabel="networks N", ylabel="relative error of the kernel")
    panel.legend(title=f"dashed: {constant:.2f} / sqrt(N width)")
    figure.tight_layout()
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main()
