"""Which settings of one computer change bits: what a kind of computer must name, and nothing else.

    python benchmarks/kinds.py                       # print a table
    python benchmarks/kinds.py --write docs/bits.md  # put it at the end of the page

A process computes a step of each method, and keeps its tasks. Then one process for each setting,
such as fewer vector instructions or another number of threads, computes these tasks again and, with
the results that the first one had, what the server makes of them. Both are compared byte by byte.
"""

import argparse
import hashlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

MARK = "\n## What decides bits\n"
HERE = Path(__file__).parent

# What is distilled in a step, by its name in the table.
RUNS: dict[str, tuple[str, ...]] = {
    "FC, fused": ("--architecture=fc", "--depth=1", "--backend=fused", "--ipc=20"),
    "ConvNet, fused": ("--architecture=convnet", "--depth=1", "--backend=fused", "--ipc=2"),
    "FC, xla": ("--architecture=fc", "--depth=1", "--backend=xla", "--ipc=20"),
    "ConvNet, xla": ("--architecture=convnet", "--depth=1", "--backend=xla", "--ipc=2"),
    "MLP, DM": ("--method=dm", "--network=mlp", "--width=200", "--ipc=2", "--augment=none"),
    "ConvNet, DM": ("--method=dm", "--depth=1", "--width=32", "--ipc=2", "--augment=none"),
}


def _wide_of_numpy() -> str:
    """Return the features of AVX-512 that NumPy uses here, by its own names for them."""
    umath = getattr(np, "_core", np.core)._multiarray_umath
    used = (name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name])
    return " ".join(name for name in used if name.startswith(("AVX512", "X86_V4")))


SETTINGS: dict[str, dict[str, str]] = {
    "`NPROC=1`": {"NPROC": "1"},
    "`NPROC=8`": {"NPROC": "8"},
    "`--xla_cpu_multi_thread_eigen=false`": {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"},
    "`--xla_cpu_max_isa=AVX2`": {"XLA_FLAGS": "--xla_cpu_max_isa=AVX2"},
    "`NUMBA_CPU_NAME=generic`": {"NUMBA_CPU_NAME": "generic"},
    "`NPY_DISABLE_CPU_FEATURES`: all of AVX-512": {"NPY_DISABLE_CPU_FEATURES": _wide_of_numpy()},
    "`OPENBLAS_CORETYPE=Haswell`": {"OPENBLAS_CORETYPE": "Haswell"},
    "`OPENBLAS_NUM_THREADS=1`": {"OPENBLAS_NUM_THREADS": "1"},
}

INTRODUCTION = (
    "Printed by `python benchmarks/kinds.py --write docs/bits.md`: a step of each run, its tasks",
    "computed again in a process with one setting of this computer changed, and what the server",
    "makes of the same results there. `tasks` and `server` say whose bits were others. What a",
    "worker must have in common with the others is in [cluster](cluster.md#one-kind-of-device).",
    "",
)

CLOSING = (
    "",
    "Where nothing shows a setting may matter all the same. Networks without convolutions are",
    "computed in float64 and rounded to float32: without AVX-512 NumPy's arc cosine has other last",
    "digits, and with another kernel of the BLAS its products have, of which rounding hides nearly",
    "all. So both are compared, and flags of XLA as they were given. Threads of the BLAS change",
    "Cholesky factors, which only the server computes. Here jaxlib is 0.4.13; with 0.10.2 products",
    "of float32 had the same bits with 1 to 8 processors and with `--xla_cpu_max_isa=SSE4_2`,",
    "while those of float64 differed between one processor and several, whatever",
    "`--xla_cpu_multi_thread_eigen` said.",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--write", type=Path, help="the page at whose end to put the table")
    parser.add_argument("--runs", nargs="+", default=list(RUNS), help="some of the runs")
    parser.add_argument("--keep", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--compare", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    for name in set(RUNS) - set(options.runs):
        del RUNS[name]
    if options.keep or options.compare:
        print(json.dumps(digests(options.keep, options.compare)))
        return
    with tempfile.TemporaryDirectory() as folder:
        lines = list(table(Path(folder) / "tasks"))
    if options.write:
        text = options.write.read_text().partition(MARK)[0]
        options.write.write_text(
            text + MARK + "\n" + "\n".join([*INTRODUCTION, *lines, *CLOSING, ""])
        )


def table(kept: Path) -> Iterator[str]:
    """Yield the lines of the table, each when it is known, and print them too."""
    expected = in_a_process({}, "--keep", kept)
    assert expected is not None, "nothing is set"
    rows = [["", *RUNS], ["---"] * (len(RUNS) + 1)]
    rows += [["nothing: another process", *compared(expected, kept, {})]]
    for line in map(_line, rows):
        print(line, flush=True)
        yield line
    for name, variables in SETTINGS.items():
        line = _line([name, *compared(expected, kept, variables)])
        print(line, flush=True)
        yield line


def compared(
    expected: dict[str, list[str]], kept: Path, variables: dict[str, str]
) -> Iterator[str]:
    """Yield for each run whose bits a setting changes: the tasks', the server's, both or none."""
    found = in_a_process(variables, "--compare", kept)
    for run in RUNS:
        if found is None:
            yield "unknown here"
            continue
        pairs = zip(("tasks", "server"), expected[run], found[run], strict=True)
        yield ", ".join(who for who, one, other in pairs if one != other) or "same"


def in_a_process(variables: dict[str, str], flag: str, kept: Path) -> dict[str, list[str]] | None:
    """Return the digests that a process of its own has; None if it does not know a setting."""
    done = subprocess.run(
        [sys.executable, __file__, flag, str(kept), "--runs", *RUNS],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **variables},
        capture_output=True,
        text=True,
    )
    if done.returncode and "Unknown flag" not in done.stderr:
        sys.exit(done.stderr)
    return None if done.returncode else json.loads(done.stdout.splitlines()[-1])


def digests(keep: Path | None, compare: Path | None) -> dict[str, list[str]]:
    """Return for each run a digest of what its tasks give, and of what the server makes of that."""
    known = {} if compare is None else pickle.loads(compare.read_bytes())
    found = {}
    for name, flags in RUNS.items():
        tasks, results = known.get(name, ([], []))
        run = Run(("--dataset=digits", "--target_batch=200", "--threads=2", *flags))
        if keep:
            found[name] = ["", run.step(Recorder(run.job.runner, tasks, results))]
            found[name][0] = _digest(results)
            known[name] = tasks, results
        else:
            own = list(run.job.runner.results(tasks))
            found[name] = [_digest(own), run.step(Recorder(Replayed(results), [], []))]
    if keep:
        keep.write_bytes(pickle.dumps(known))
    return found


class Run:
    """A run that is prepared, of which one step is taken."""

    def __init__(self, flags: Sequence[str]) -> None:
        from stillhouse.launch.prepare import prepare
        from stillhouse.launch.settings.flags import parse
        from stillhouse.launch.settings.run import DistillConfig

        config, _ = parse(DistillConfig, list(flags))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.job = prepare(config, for_real=False)

    def step(self, runner: "Recorder") -> str:
        """Take the step by a runner; return a digest of what its tasks are, and of the state."""
        transform = self.job.fit_transform()
        batches = self.job.batches(transform, augmented=True)
        algorithm = self.job.algorithm(transform, batches, runner, lambda: False)
        state, _ = algorithm.advance(algorithm.begin(), 1)
        return _digest([*runner.given, tuple(algorithm.save(state).values())])


class Recorder:
    """A runner that keeps tasks and results."""

    def __init__(self, runner: Any, tasks: list[Any], results: list[Any]) -> None:
        self._runner, self._tasks, self._results = runner, tasks, results
        self.given: list[Any] = []

    def results(self, tasks: Sequence[Any]) -> Iterator[Any]:
        tasks = list(tasks)
        for task, result in zip(tasks, self._runner.results(tasks), strict=True):
            self._tasks.append(task)
            self.given.append((*task.shared, *task.own))
            self._results.append(tuple(map(np.asarray, result)))
            yield result


class Replayed:
    """A runner that has the results already."""

    def __init__(self, results: Sequence[Any]) -> None:
        self._results = iter(results)

    def results(self, tasks: Sequence[Any]) -> Iterator[Any]:
        for _ in tasks:
            yield next(self._results)


def _digest(results: Sequence[Sequence[Any]]) -> str:
    digest = hashlib.sha256()
    for arrays in results:
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
