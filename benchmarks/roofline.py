"""How close the fused loops come to the processor's peak.

    python benchmarks/roofline.py
    python benchmarks/roofline.py --write docs     # also write roofline.md

Counts the additions, multiplications, divisions and square roots of one kernel element (a
multiply-add is two; comparisons, loads and stores count nothing) from the lines of
`kernels/fused/rows.py`, `gradient_rows.py` and `relu.py`, times blocks through the public API, and
measures the peak by multiply-adds that wait for nothing, with the same vectors and threads.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np

from stillhouse.kernels import KernelSpec, convnet, kernel
from stillhouse.kernels.band import pair_levels
from stillhouse.kernels.fused.lanes import lane_zeros, load, rows, store
from stillhouse.kernels.threads import Workers

SIZES = ((16, 3), (28, 1), (32, 3))
ROWS, COLUMNS = 128, 32

# Operations at one covariance n[d][p], t[d][p], by the line of the recursion.
CONV = 4 + 4 + 2 + 2  # both windows of n and of t, scale and bias of n, scale and n of t
FIRST_CONV = 2 + 2 + 2  # there t = n
ANGLE = 1 + 6 + 1 + 2 + 18 + 2  # 1 / sqrt(P Q), P Q - n^2, its root, c and 1 - |c|, polynomial
RELU = ANGLE + 1 + 5 + 1  # k0, n', t'
POOL = 2
RELU_GRADIENT = ANGLE + 1 + 2 + 1 + 1 + 2 + 1 + 2 + 2 + 1  # k0, both factors; by line from there
CONV_GRADIENT = 2 * (2 + 2 + 1)  # windows of g_n and g_t, columns then rows, and the scale
FIRST_CONV_GRADIENT = 2 + 2 + 1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5, help="the fastest counts")
    parser.add_argument("--write", type=Path, help="folder for roofline.md")
    options = parser.parse_args()
    threads = sorted({1, os.cpu_count() or 1})
    peaks = {count: multiply_add_peak(count, options.repeats) for count in threads}
    lines = [
        "| image | pass | threads | Mflop/element | ms/element | Gflop/s | of peak | x 1 thread |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for side, channels in SIZES:
        for name, flops in zip(("forward", "vjp"), operations(side, channels), strict=True):
            alone = 0.0
            for count in threads:
                seconds = measure(side, channels, name, count, options.repeats)
                alone = alone or seconds
                rate = flops / seconds
                lines.append(
                    f"| {side}x{side}x{channels} | {name} | {count} | {flops / 1e6:.1f} | "
                    f"{seconds * 1e3:.4f} | {rate / 1e9:.0f} | {rate / peaks[count]:.0%} | "
                    f"{alone / seconds:.2f} |"
                )
    lines += ["", *(f"Peak, {count} threads: {peaks[count] / 1e9:.0f} Gflop/s." for count in peaks)]
    print("\n".join(lines))
    if options.write:
        (options.write / "roofline.md").write_text(report(lines))


def operations(side: int, channels: int) -> tuple[int, int]:
    """Return the operations of an element of the ConvNet's NTK, forward and vjp of one side."""
    levels = pair_levels(convnet(3), (side, side))
    forward = backward = 0
    for k, level in enumerate(levels):
        if not level.relus:
            continue
        size, convs = level.covariances, level.relus
        first = 2 * channels - 1 + FIRST_CONV - CONV if k == 0 else 0
        once = size * (convs * (CONV + RELU) + first)
        pooled = size * POOL
        forward += once + pooled
        # Before the last level all is computed again and pooled; in a level, all but the last ReLU.
        is_last = k + 1 == sum(bool(other.relus) for other in levels)
        backward += 0 if is_last else once + pooled
        backward += once - size * RELU
        image = 2 * channels + FIRST_CONV_GRADIENT - CONV_GRADIENT if k == 0 else 0
        backward += size * (convs * (RELU_GRADIENT + CONV_GRADIENT) + image)
    return forward, backward


def measure(side: int, channels: int, name: str, threads: int, repeats: int) -> float:
    """Return the seconds of one element."""
    rng = np.random.default_rng(0)
    x1 = rng.normal(size=(ROWS, side, side, channels)).astype(np.float32)
    x2 = rng.normal(size=(COLUMNS, side, side, channels)).astype(np.float32)
    cotangent = rng.normal(size=(ROWS, COLUMNS)).astype(np.float32)
    one = kernel(KernelSpec(convnet(3)), backend="fused", threads=threads)
    if name == "forward":
        return fastest(lambda: one.block(x1, x2), repeats) / cotangent.size
    return fastest(lambda: one.vjp(x1, x2, cotangent, wrt=(1,)), repeats) / cotangent.size


def multiply_add_peak(threads: int, repeats: int) -> float:
    """Return multiply-adds of all threads, as operations per second."""
    rounds, chains = 20_000_000, 12
    vectors = [lane_zeros(chains + 2) for _ in range(threads)]
    workers = Workers(threads)
    chain_of_multiply_adds(vectors[0], 1)

    def all_threads() -> None:
        list(workers.in_order(lambda array: chain_of_multiply_adds(array, rounds), vectors))

    return threads * rounds * chains * 16 * 2 / fastest(all_threads, repeats)


@numba.njit(nogil=True, error_model="numpy")
def chain_of_multiply_adds(array, rounds):  # type: ignore[no-untyped-def]
    """Twelve chains of multiply-adds side by side: enough to hide what each waits for."""
    lanes = rows(array)
    scale, shift = load(lanes, 12), load(lanes, 13)
    a, b, c, d = load(lanes, 0), load(lanes, 1), load(lanes, 2), load(lanes, 3)
    e, f, g, h = load(lanes, 4), load(lanes, 5), load(lanes, 6), load(lanes, 7)
    i, j, k, m = load(lanes, 8), load(lanes, 9), load(lanes, 10), load(lanes, 11)
    for _ in range(rounds):
        a, b, c = a * scale + shift, b * scale + shift, c * scale + shift
        d, e, f = d * scale + shift, e * scale + shift, f * scale + shift
        g, h, i = g * scale + shift, h * scale + shift, i * scale + shift
        j, k, m = j * scale + shift, k * scale + shift, m * scale + shift
    store(lanes, 0, a + b + c + d + e + f + g + h + i + j + k + m)


def fastest(function: Callable[[], object], repeats: int) -> float:
    function()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def report(lines: list[str]) -> str:
    head = [
        "# How close the fused loops come to the processor's peak",
        "",
        "Printed by `python benchmarks/roofline.py --write docs`, which says what counts as an",
        f"operation. ConvNet of depth 3, NTK, blocks of {ROWS} x {COLUMNS} images; vjp of one",
        "side.",
        f"Processor: {processor()}.",
        "",
    ]
    tail = [
        "",
        "The peak is that of multiply-adds alone, which count twice. About half of the loops'",
        "operations pair up as such; each covariance also waits for a root (in the vjp for a",
        "division too, in the same slow unit), and passes through the windows of its level by",
        "loads and stores. All of that stays in the first two caches: only the images come from",
        "memory, so the loops scale with the cores.",
    ]
    return "\n".join([*head, *lines, *tail, ""])


def processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(": ")[2] if names else platform.processor()


if __name__ == "__main__":
    main()
