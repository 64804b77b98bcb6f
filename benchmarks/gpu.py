"""Measure everything on a GPU: is it right, how fast, and the same bits twice.

    python benchmarks/gpu.py                  # on a machine with a GPU; make gpu-check is the same
    python benchmarks/gpu.py --only rates runs
    python benchmarks/gpu.py --write docs     # also write gpu-table.md

Takes some minutes. Blocks are timed from arrays to arrays, all of the work on the processor with
them; an element is a pair of images. The share of the peak counts an element's operations as
`roofline.py` does, over what the multiply-add units could do at the GPU's highest clock. Ends with
1 if an error is beyond its bound or bits differ, and with 2 where there is no GPU.
"""

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import oracle
import roofline

import stillhouse
from stillhouse.data.labels import centred_one_hot
from stillhouse.kernels import KernelSpec, convnet, kernel
from stillhouse.kernels.cuda import missing_reason
from stillhouse.kernels.cuda.device import first_device
from stillhouse.methods.kernel_regression.computer import KernelComputer
from stillhouse.methods.kernel_regression.kip import KipConfig, initial_state, kip_step
from stillhouse.methods.kernel_regression.tiled import TiledComputer
from stillhouse.networks import NetworkSpec
from stillhouse.networks.descent import programs_for
from stillhouse.networks.objective import Objective
from stillhouse.server.blobs import BlobStore
from stillhouse.server.pool import WorkerPool
from stillhouse.server.scheduler import Scheduler
from stillhouse.server.service import Service
from stillhouse.workers.local import LocalComputer
from stillhouse.workers.loop import work

BACKENDS = ("cuda", "xla")
SIZES = ((28, 1), (32, 3))
ARCHITECTURES = ("conv3", "convnet", "convnet, odd", "convnet, global pool")
# Pairs of a block, by backend: a second or so of work.
PAIRS = {"cuda": (512, 1024), "xla": (128, 256)}
BLOCKS = [2**k for k in range(4, 11)]  # images on either side
# Multiply-add units of a multiprocessor, by compute capability.
UNITS = {(8, 0): 64}
ANY_OTHER = 128
STEPS = 20
REPEATS = 3  # the fastest counts


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--write", type=Path, help="folder for gpu-table.md")
    options = parser.parse_args()
    reason = missing_reason()
    if reason is not None:
        print(reason, file=sys.stderr)
        sys.exit(2)
    lines = [f"# Measured on one {first_device().name}", "", setting(), ""]
    print("\n".join(lines), flush=True)
    is_right = True
    for part in options.only:
        for line, holds in PARTS[part]():
            print(line, flush=True)
            lines.append(line)
            is_right &= holds
        print(flush=True)
        lines.append("")
    if options.write:
        (options.write / "gpu-table.md").write_text("\n".join(lines))
    sys.exit(0 if is_right else 1)


def setting() -> str:
    import jax

    return (
        f"Printed by `python benchmarks/gpu.py --write docs`: {first_device().toolchain}, "
        f"jax {jax.__version__}, {roofline.processor()}."
    )


Line = tuple[str, bool]


def errors() -> Iterator[Line]:
    """The largest error of each function at each kind of images, see `oracle.py`."""
    for backend in BACKENDS:
        found = list(oracle.errors(backend, architectures=ARCHITECTURES))
        yield f"## Errors of {backend} against float64: {', '.join(ARCHITECTURES)}", True
        yield "", True
        for line in oracle.table(found):
            yield line, "*" not in line
        yield "", True


def rates() -> Iterator[Line]:
    """Elements a second of each backend, and their share of the device's peak."""
    yield "## Elements a second, ConvNet of depth 3, NTK", True
    yield "", True
    yield "| image | backend | forward | of peak | forward + vjp | of peak |", True
    yield "| --- | --- | --- | --- | --- | --- |", True
    for side, channels in SIZES:
        forward_operations, vjp_operations = roofline.operations(side, channels)
        for backend in BACKENDS:
            forward, vjp = block_rates(backend, PAIRS[backend], side, channels)
            shares = forward * forward_operations / peak(), vjp * vjp_operations / peak()
            yield (
                f"| {side}x{side}x{channels} | {backend} | {forward:,.0f} | {shares[0]:.0%} | "
                f"{vjp:,.0f} | {shares[1]:.0%} |",
                True,
            )


def blocks() -> Iterator[Line]:
    """What a block's size does to the rate: small ones leave multiprocessors idle."""
    yield "## Elements a second of square blocks, 32x32x3, cuda", True
    yield "", True
    yield "| images on a side | forward | forward + vjp |", True
    yield "| --- | --- | --- |", True
    for n in BLOCKS:
        forward, vjp = block_rates("cuda", (n, n), 32, 3)
        yield f"| {n} | {forward:,.0f} | {vjp:,.0f} |", True


def runs() -> Iterator[Line]:
    """KIP on digits: in this process, again, and by a server and a worker on the GPU."""
    yield f"## {STEPS} steps of KIP on digits, 10 images, 1,000 targets", True
    yield "", True
    yield "| backend | run | seconds | bits |", True
    yield "| --- | --- | --- | --- |", True
    for backend in BACKENDS:
        first: bytes | None = None
        for name, run in (
            ("in this process", lambda b=backend: kip(LocalComputer(b))),
            ("again", lambda b=backend: kip(LocalComputer(b))),
            ("a server and a worker", lambda b=backend: served(b)),
        ):
            start = time.perf_counter()
            images = run()
            took = time.perf_counter() - start
            first = first or images
            bits = "the same" if images == first else "DIFFER"
            yield f"| {backend} | {name} | {took:.1f} | {bits} |", images == first


def networks() -> Iterator[Line]:
    """Steps of training a finite ConvNet a second."""
    yield "## Finite networks: steps of SGD a second, ConvNet, batches of 100 images 32x32x3", True
    yield "", True
    yield "| width | steps a second |", True
    yield "| --- | --- |", True
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 32, 32, 3), np.float32)
    y = centred_one_hot(rng.integers(10, size=100), 10)
    for width in (128, 256):
        programs = programs_for(NetworkSpec("convnet", width=width), Objective(), x.shape[1:], 10)
        yield f"| {width} | {steps_a_second(programs, x, y):.0f} |", True


def steps_a_second(programs: object, x: np.ndarray, y: np.ndarray) -> float:
    import jax

    params, state = programs.network.init(0)  # type: ignore[attr-defined]
    moments = programs.optimiser.init(params)  # type: ignore[attr-defined]
    count = 50

    def steps() -> None:
        nonlocal params, moments, state
        for _ in range(count):
            params, moments, state, _ = programs.step(  # type: ignore[attr-defined]
                params, moments, state, np.float32(0.01), x, y
            )
        jax.block_until_ready(params)

    return count / roofline.fastest(steps, REPEATS)


def block_rates(
    backend: str, pairs: tuple[int, int], side: int, channels: int
) -> tuple[float, float]:
    """Return the elements a second of a block forward, and with the vjp of its first images."""
    rng = np.random.default_rng(0)
    x1, x2 = (rng.standard_normal((n, side, side, channels), np.float32) for n in pairs)
    cotangent = rng.standard_normal(pairs, np.float32)
    one = kernel(KernelSpec(convnet(3)), backend=backend)
    forward = roofline.fastest(lambda: one.block(x1, x2), REPEATS)
    vjp = roofline.fastest(lambda: one.vjp(x1, x2, cotangent, wrt=(0,)), REPEATS)
    return cotangent.size / forward, cotangent.size / vjp


def kip(computer: KernelComputer) -> bytes:
    """Return the bits of ten images after some steps."""
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8, 1) / 8 - 1).astype(np.float32)
    labels = centred_one_hot(classes, 10)
    config = KipConfig((KernelSpec(convnet(3)),))
    state = initial_state(config, images[:10], labels[:10])
    for _ in range(STEPS):
        state, _ = kip_step(config, state, computer, images[500:1500], labels[500:1500])
    return state.images.tobytes()


def served(backend: str) -> bytes:
    """The same by a server, and a worker that leases its tasks from it."""
    config = {
        "version": stillhouse.__version__,
        "config_hash": "benchmark",
        "backend": backend,
        "summary": "benchmark",
    }
    with WorkerPool(Scheduler(time.monotonic), BlobStore()) as pool:
        worker = threading.Thread(target=work, args=(Service(pool, config),), daemon=True)
        worker.start()
        images = kip(TiledComputer(pool))
    worker.join(60)
    return images


def peak() -> float:
    """Return the device's operations a second, a multiply-add counting as two."""
    from cuda.core import Device

    device = Device(0)
    properties, capability = device.properties, tuple(device.compute_capability)
    units = properties.multiprocessor_count * UNITS.get(capability, ANY_OTHER)
    return 2.0 * units * 1e3 * properties.clock_rate


PARTS: dict[str, Callable[[], Iterator[Line]]] = {
    part.__name__: part for part in (errors, rates, blocks, runs, networks)
}


if __name__ == "__main__":
    main()
