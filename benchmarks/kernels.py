"""Time the kernel backends side by side, and hold their float32 against float64.

    python benchmarks/kernels.py                      # all sizes, all backends installed here
    python benchmarks/kernels.py --sizes 16x16x3 --backends xla neural_tangents
    python benchmarks/kernels.py --write docs         # also write the table and the plot

Each backend runs in a process of its own, one after the other, for an honest peak of memory;
repeats alternate between backends, and the fastest counts. "forward + vjp" is `Kernel.vjp` of one
input, which recomputes the forward pass. Blocks have the size that suits the backend:
neural_tangents takes few pairs at once. Errors are the largest difference over the largest entry,
against the same kernel in float64 (neural_tangents where it is installed, xla elsewhere).

Of the backends in float32 a second table says what near pairs cost: the search for them, which is a
part of every block, beside the whole block in the same process; and one of them, in float64.
"""

import argparse
import dataclasses
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import oracle

from stillhouse.kernels import KernelSpec, convnet, kernel
from stillhouse.kernels.fused.lanes import LANES
from stillhouse.kernels.fused.listed import ListedPairs
from stillhouse.kernels.fused.near import NearImages
from stillhouse.kernels.fused.refined import RefinedKernel
from stillhouse.kernels.threads import Workers

SIZES = ("8x8x1", "16x16x3", "28x28x1", "32x32x3")
# Pairs in a block, at each width of the image: a second or so of work.
PAIRS = {
    "neural_tangents": {8: (32, 32), 16: (8, 8), 28: (4, 4), 32: (4, 4)},
    "xla": {8: (32, 256), 16: (16, 128), 28: (8, 64), 32: (8, 64)},
    "fused": {8: (64, 1024), 16: (64, 512), 28: (64, 128), 32: (64, 128)},
    "cuda": {8: (1024, 4096), 16: (512, 2048), 28: (512, 1024), 32: (512, 1024)},
}
CHECKED = (4, 6)  # images on either side of the block whose error is measured


@dataclasses.dataclass(frozen=True)
class Measured:
    """What one process found: milliseconds per element, errors, and its peak memory.

    `search` is what of `forward` and of `vjp` looks for near pairs, and `near` what one of those
    costs besides, forwards; both are 0 where float32 is taken as it is.
    """

    backend: str
    size: str
    forward: float
    vjp: float
    forward_error: float
    vjp_error: float
    peak_gb: float
    first_call: float
    search: float = 0.0
    near: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=SIZES)
    parser.add_argument("--backends", nargs="+", default=oracle.installed_backends())
    parser.add_argument("--repeats", type=int, default=3, help="processes for each measurement")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--write", type=Path, help="folder for kernels.md and kernels.png")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(child(*options.child, options.threads)))
        return
    rows = [row for size in options.sizes for row in compare(size, options)]
    lines, near = table(rows), near_table(rows)
    print("\n".join([*lines, "", *near]))
    if options.write:
        (options.write / "kernels.md").write_text(report(lines, near, options))
        plot(rows, options.write / "kernels.png")


def compare(size: str, options: argparse.Namespace) -> list[Measured]:
    """Measure every backend at one size; the fastest of the repeats, which alternate."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "exact.npz")
        best = "neural_tangents" if "neural_tangents" in options.backends else "xla"
        run_child(f"exact:{best}", size, path, options.threads)
        runs = [
            Measured(**run_child(backend, size, path, options.threads))
            for _ in range(options.repeats)
            for backend in options.backends
        ]
    return [fastest([r for r in runs if r.backend == backend]) for backend in options.backends]


def fastest(runs: list[Measured]) -> Measured:
    return dataclasses.replace(
        runs[0],
        forward=min(r.forward for r in runs),
        vjp=min(r.vjp for r in runs),
        first_call=min(r.first_call for r in runs),
        search=min(r.search for r in runs),
        near=min(r.near for r in runs),
        peak_gb=max(r.peak_gb for r in runs),
    )


def run_child(backend: str, size: str, path: str, threads: int) -> dict:
    command = [sys.executable, __file__, "--threads", str(threads), "--child", backend, size, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{backend} at {size} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def child(backend: str, size: str, path: str, threads: int) -> dict:
    """Measure one backend, or write the float64 reference, in this process."""
    shape = tuple(map(int, size.split("x")))
    rng = np.random.default_rng(0)
    x1, x2 = (rng.normal(size=(n, *shape)).astype(np.float32) for n in CHECKED)
    cotangent = rng.normal(size=CHECKED).astype(np.float32)
    spec = KernelSpec(convnet())
    if backend.startswith("exact:"):
        import jax

        jax.config.update("jax_enable_x64", True)
        exact = kernel(spec, backend=backend.removeprefix("exact:"))
        x1, x2 = x1.astype(np.float64), x2.astype(np.float64)
        (gradient,) = exact.vjp(x1, x2, cotangent, wrt=(0,))
        np.savez(path, block=exact.block(x1, x2), gradient=gradient)
        return {}
    found = kernel(spec, backend=backend, threads=threads)
    with np.load(path) as exact:
        errors = (
            oracle.relative_error(found.block(x1, x2), exact["block"]),
            oracle.relative_error(found.vjp(x1, x2, cotangent, wrt=(0,))[0], exact["gradient"]),
        )
    n1, n2 = PAIRS[backend][shape[1]]
    x1, x2 = (rng.normal(size=(n, *shape)).astype(np.float32) for n in (n1, n2))
    cotangent = rng.normal(size=(n1, n2)).astype(np.float32)
    forward, first = seconds(lambda: found.block(x1, x2))
    vjp, first_vjp = seconds(lambda: found.vjp(x1, x2, cotangent, wrt=(0,)))
    search = near = 0.0
    if isinstance(found, RefinedKernel):
        search, near = near_costs(spec, x1, x2, threads)
    return dataclasses.asdict(
        Measured(
            backend=backend,
            size=size,
            forward=1e3 * forward / (n1 * n2),
            vjp=1e3 * vjp / (n1 * n2),
            forward_error=errors[0],
            vjp_error=errors[1],
            peak_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
            first_call=first + first_vjp,
            search=1e3 * search / (n1 * n2),
            near=1e3 * near,
        )
    )


def near_costs(
    spec: KernelSpec, x1: np.ndarray, x2: np.ndarray, threads: int
) -> tuple[float, float]:
    """Return the seconds of the search for near pairs in a block, and those of one near pair."""
    count = 2 * LANES * threads
    one = x1[np.arange(count) % len(x1)]
    other = one + np.float32(1e-3)
    listed = ListedPairs(spec, x1.shape[1:])
    with Workers(threads) as workers:
        search, _ = seconds(lambda: NearImages(spec.architecture).pairs(x1, x2, workers))
        near, _ = seconds(lambda: listed.pairs(one, other, workers))
    return search, near / count


def seconds(function: object) -> tuple[float, float]:
    """Return the fastest of a few calls, and how long the first took."""
    times = []
    for _ in range(4):
        start = time.perf_counter()
        function()  # type: ignore[operator]
        times.append(time.perf_counter() - start)
    return min(times[1:]), times[0]


def table(rows: list[Measured]) -> list[str]:
    lines = [
        "| image | backend | forward, ms/element | x | forward + vjp, ms/element | x "
        "| error K | error vjp | peak memory, GB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    slow = {r.size: r for r in rows if r.backend == "neural_tangents"}
    for r in rows:
        times = [
            (mine, f"{theirs / mine:,.0f}" if theirs else "-")
            for mine, theirs in (
                (r.forward, slow[r.size].forward if r.size in slow else 0.0),
                (r.vjp, slow[r.size].vjp if r.size in slow else 0.0),
            )
        ]
        cells = " | ".join(f"{mine:.3g} | {ratio}" for mine, ratio in times)
        lines.append(
            f"| {r.size} | {r.backend} | {cells} | {r.forward_error:.0e} | {r.vjp_error:.0e} "
            f"| {r.peak_gb:.2f} |"
        )
    return lines


def near_table(rows: list[Measured]) -> list[str]:
    return [
        "| image | backend | search for near pairs, of forward | of forward + vjp "
        "| a near pair besides, ms |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {r.size} | {r.backend} | {r.search / r.forward:.1%} | {r.search / r.vjp:.1%} "
            f"| {r.near:.3g} |"
            for r in rows
            if r.search
        ),
    ]


def report(lines: list[str], near: list[str], options: argparse.Namespace) -> str:
    import jax

    command = f"python benchmarks/kernels.py --repeats {options.repeats} --write docs"
    return "\n".join(
        [
            "# Kernel backends, side by side",
            "",
            f"The ConvNet NTK (three pools, prepended convolution), float32; by `{command}` "
            f"with {options.threads} threads, {cpu_name()}, jax {jax.__version__}. `x` is how many "
            "times faster than neural_tangents in the same run; forward + vjp differentiates one "
            "input. Errors are against float64.",
            "",
            *lines,
            "",
            "Pairs of images that float32 cannot tell apart go through float64 "
            "([digits](mathematics.md#digits)). The search for them is a part of each block and of "
            "the times above.",
            "",
            *near,
            "",
            "![Milliseconds for one kernel element, by backend and image size](kernels.png)",
            "",
        ]
    )


def cpu_name() -> str:
    """Return the processor's name and whether it has AVX-512."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line]
    return f"{names[0] if names else platform.machine()}{', AVX-512' * ('avx512f' in text)}"


def plot(rows: list[Measured], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    sizes = list(dict.fromkeys(r.size for r in rows))
    backends = list(dict.fromkeys(r.backend for r in rows))
    for ax, (name, field) in zip(
        axes, (("forward", "forward"), ("forward + vjp", "vjp")), strict=True
    ):
        for i, backend in enumerate(backends):
            values = [getattr(r, field) for r in rows if r.backend == backend]
            places = np.arange(len(sizes)) + (i - (len(backends) - 1) / 2) * 0.8 / len(backends)
            ax.bar(places, values, 0.8 / len(backends), label=backend)
        ax.set(yscale="log", title=name, xlabel="image")
        ax.set_xticks(range(len(sizes)), sizes)
        ax.grid(axis="y", alpha=0.3)
        ax.set_axisbelow(True)
    axes[0].set_ylabel("ms per kernel element")
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
