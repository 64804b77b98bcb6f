"""Which widths random networks should have: what a set predicts by them, and their time.

    python benchmarks/feature_widths.py --dataset DATA/cifar10 --transform zca --ipc 10
    python benchmarks/feature_widths.py --init SET --dataset DATA/cifar10 --transform zca --ipc 10

A set, real images or one that was learned, predicts classes by kernel ridge regression. Printed is
for networks of each of the `--widths` how far their predictions are from those of the exact kernel,
how long one core takes for the features of 1,000 images, and how long for the same error, relative
to the first: the squared error falls as one over the number of networks, so that is time times it.
"""

import argparse
import os
import time
from typing import Any

import numpy as np
from problem import add_problem, problem_flags

from stillhouse.launch.prepare import prepare
from stillhouse.launch.settings.flags import parse
from stillhouse.launch.settings.run import DistillConfig
from stillhouse.methods.kernel_regression.feature_layers import Width
from stillhouse.methods.kernel_regression.features import FeatureTasks, network_seeds
from stillhouse.methods.kernel_regression.ridge import krr_predict
from stillhouse.methods.programs import Context
from stillhouse.workers.local import LocalRunner

WIDTHS = ["32", "8,16,32", "16,16,64", "16,32,64", "16,32,128", "32,32,128", "32,64,128"]
COLUMNS = ("widths", "error of predictions", "accuracy", "s for 1,000 images", "time for the error")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add_problem(parser)
    parser.add_argument("--ipc", type=int, default=10)
    parser.add_argument("--init", default="real", help="of the set, as of `stillhouse distill`")
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--widths", nargs="+", default=WIDTHS)
    parser.add_argument("--networks", type=int, default=8)
    parser.add_argument("--draws", type=int, default=4)
    options = parser.parse_args()
    os.environ["NPROC"] = "1"  # XLA's threads, before it looks for devices.
    comparison = Comparison(options)
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{' --- |' * len(COLUMNS)}"]
    print("\n".join([comparison.headline(), "", *lines]))
    costs: list[float] = []
    for text in options.widths:
        width = tuple(map(int, text.split(",")))
        error, accuracy, seconds = comparison.of(width if len(width) > 1 else width[0])
        costs.append(seconds * error**2)
        relative = f"{costs[-1] / costs[0]:.2f}"
        print(f"| {text} | {error:.3f} | {accuracy:.3f} | {seconds:.2f} | {relative} |", flush=True)


class Comparison:
    """A set, targets, and what the exact kernel predicts for them."""

    def __init__(self, options: argparse.Namespace) -> None:
        flags = [
            *problem_flags(options),
            *("--method=rfad", f"--ipc={options.ipc}", f"--init={options.init}"),
            f"--target_batch={options.targets}",
        ]
        config, _ = parse(DistillConfig, flags)
        job = prepare(config, for_real=False)
        transform = job.fit_transform()
        batches = job.batches(transform, augmented=False)
        algorithm: Any = job.algorithm(transform, batches, job.runner, lambda: False)
        state = algorithm.begin()
        self._options, self._ridge = options, algorithm.config.regularisation
        self._spec, self._set, self._labels = algorithm.config.spec, state.images, state.labels
        self._targets, self._classes = batches.batch(0)
        computer = algorithm.scoring.computer
        kernels = computer.forward(self._spec, self._set, self._targets)
        self._expected, self.accuracy = self._predict(*kernels)

    def headline(self) -> str:
        """Return what is compared."""
        options = self._options
        return (
            f"{options.networks} networks, {options.architecture} on {options.dataset}, "
            f"{len(self._set)} images; the exact kernel's accuracy is {self.accuracy:.3f}."
        )

    def of(self, width: Width) -> tuple[float, float, float]:
        """Return the error of predictions, their accuracy, and the seconds of 1,000 images."""
        options, each = self._options, []
        tasks = FeatureTasks(self._spec, width, LocalRunner(Context("xla", threads=1)))
        tasks.features(network_seeds(0, 0, 1), self._targets)  # Compiles.
        for draw in range(options.draws):
            seeds = network_seeds(0, draw, options.networks)
            started = time.perf_counter()
            (targets,) = tasks.features(seeds, self._targets)
            seconds = (time.perf_counter() - started) * 1000 / len(self._targets)
            (support,) = tasks.features(seeds, self._set)
            found, accuracy = self._predict(
                tasks.kernel(support, support), tasks.kernel(targets, support)
            )
            error = np.linalg.norm(found - self._expected) / np.linalg.norm(self._expected)
            each.append((error**2, accuracy, seconds))
        square, accuracy, seconds = np.mean(each, axis=0)
        return float(np.sqrt(square)), float(accuracy), float(seconds)

    def _predict(self, K_ss: np.ndarray, K_ts: np.ndarray) -> tuple[np.ndarray, float]:
        found = krr_predict(K_ss, K_ts, self._labels, self._ridge)
        return found, float(np.mean(found.argmax(axis=1) == self._classes.argmax(axis=1)))


if __name__ == "__main__":
    main()
