"""On what benchmarks of random features run: data and a network, as `stillhouse distill` does."""

import argparse


def add_problem(parser: argparse.ArgumentParser) -> None:
    """Let a benchmark be told its data and network."""
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--transform", default="standardise")
    parser.add_argument("--architecture", default="convnet3")
    parser.add_argument("--depth", type=int)


def problem_flags(options: argparse.Namespace) -> list[str]:
    """Return the flags of a run on them by one thread, through the NNGP kernel."""
    return [
        *(f"--dataset={options.dataset}", f"--transform={options.transform}"),
        f"--architecture={options.architecture}",
        *([] if options.depth is None else [f"--depth={options.depth}"]),
        *("--kernel=nngp", "--threads=1"),
    ]
