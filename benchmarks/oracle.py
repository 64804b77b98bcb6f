"""Hold the kernels of any backend against float64, at ordinary images and at degenerate ones.

    python benchmarks/oracle.py                               # every backend installed here
    python benchmarks/oracle.py --backends xla --kinds equal "near, 1e-3"
    python benchmarks/oracle.py --write docs                  # also write docs/oracle.md

Every architecture with either kernel meets every kind of images in `block`, `gram`, `vjp` and
`gram_vjp`. An error is the largest difference over the largest entry of what float64 gives, which
NumPy computes from whole covariances (`exact.py`). Exits with 1 if one is beyond its bound, save of
neural_tangents, which is shown for comparison.

Each network compiles programs of its own: with xla on a CPU the whole takes a quarter of an hour or
more, with fused a minute.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import exact
import numpy as np

from stillhouse.kernels import (
    BACKENDS,
    Architecture,
    AvgPool,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    KernelSpec,
    Relu,
    conv,
    convnet,
    fc,
    kernel,
    myrtle,
)

# Windows unlike each other, layers without ReLU or bias, two dense layers.
_UNLIKE = Architecture(
    (
        *(Conv((3, 5), W_std=1.2, b_std=0.3), Conv((1, 3), b_std=0.0), Relu(), AvgPool((2, 3))),
        *(Conv(), AvgPool((2, 1)), Flatten(), Dense(0.8, 0.2), Relu(), Dense()),
    )
)
_POOLS_EVERYWHERE = Architecture(
    (
        *(AvgPool((2, 1)), Conv(), Relu(), AvgPool(), AvgPool((1, 2)), GlobalAvgPool()),
        *(Dense(), Relu(), Dense()),
    )
)
# With images as small as leave something of each network, [h, w, c].
ARCHITECTURES: dict[str, tuple[Architecture, tuple[int, int, int]]] = {
    "fc1": (fc(1), (4, 5, 2)),
    "fc3": (fc(3), (4, 5, 2)),
    "conv1": (conv(1), (6, 6, 1)),
    "conv3": (conv(3), (6, 6, 2)),
    "conv2, global pool": (conv(2, global_pool=True), (6, 5, 1)),
    "convnet": (convnet(3), (8, 8, 3)),
    "convnet, odd": (convnet(2), (7, 9, 2)),
    "convnet, no bias": (convnet(2, b_std=0.0), (6, 6, 1)),
    "convnet3": (convnet(prepend=False), (8, 8, 1)),
    "convnet, global pool": (convnet(2, global_pool=True), (8, 6, 1)),
    "myrtle5": (myrtle(5), (8, 8, 1)),
    "unlike windows": (_UNLIKE, (8, 9, 2)),
    "pools everywhere": (_POOLS_EVERYWHERE, (8, 8, 1)),
}

Pair = tuple[np.ndarray, np.ndarray]
_N1, _N2 = 3, 4  # images on either side


def _centre(x: np.ndarray) -> tuple[slice, slice, slice]:
    h, w = x.shape[1:3]
    return slice(None), slice(h // 3, h - h // 3), slice(w // 3, w - w // 3)


def _near(noise: float) -> Callable[[Pair, np.random.Generator], Pair]:
    """Return a kind: three of the second images are the first ones, moved by noise."""

    def change(images: Pair, rng: np.random.Generator) -> Pair:
        x1, x2 = images
        x2[:_N1] = x1 + noise * rng.normal(size=x1.shape)
        return x1, x2

    return change


def _equal(images: Pair, rng: np.random.Generator) -> Pair:
    x1, x2 = images
    x2[:_N1] = x1
    return x1, x2


def _one_pixel(by: float) -> Callable[[Pair, np.random.Generator], Pair]:
    """Return a kind: as equal images, but for the first value of the first pixel."""

    def change(images: Pair, rng: np.random.Generator) -> Pair:
        x1, x2 = _equal(images, rng)
        x2[:_N1, 0, 0, 0] += by
        return x1, x2

    return change


def _one_is_zero(images: Pair, rng: np.random.Generator) -> Pair:
    for x in images:
        x[0] = 0
    return images


def _constant(images: Pair, rng: np.random.Generator) -> Pair:
    x1, x2 = images
    for i in range(2):  # unlike constants, and the same on both sides
        x1[i] = x2[i] = i + 1.0
    return x1, x2


def _background(level: float) -> Callable[[Pair, np.random.Generator], Pair]:
    """Return a kind: images that differ in their centre alone."""

    def change(images: Pair, rng: np.random.Generator) -> Pair:
        results = []
        for x in images:
            background = np.full_like(x, level)
            background[_centre(x)] = x[_centre(x)]
            results.append(background)
        return results[0], results[1]

    return change


def _almost_flat(images: Pair, rng: np.random.Generator) -> Pair:
    return 0.5 + 1e-3 * images[0], -0.7 + 1e-3 * images[1]


def _opposite(images: Pair, rng: np.random.Generator) -> Pair:
    x1, x2 = images
    x2[:_N1] = -x1
    return x1, x2


def _scaled(by: float) -> Callable[[Pair, np.random.Generator], Pair]:
    return lambda images, rng: (by * images[0], by * images[1])


KINDS: dict[str, Callable[[Pair, np.random.Generator], Pair]] = {
    "noise": lambda images, rng: images,
    "equal": _equal,
    "near, 0.1": _near(0.1),
    "near, 0.01": _near(0.01),
    "near, 1e-3": _near(1e-3),
    "near, 1e-4": _near(1e-4),
    "one pixel apart": _one_pixel(1.0),
    "one pixel apart, 1e-3": _one_pixel(1e-3),
    "a zero image": _one_is_zero,
    "constant": _constant,
    "almost constant": _almost_flat,
    "shared background": _background(-0.42),
    "black background": _background(0.0),
    "opposite": _opposite,
    "times 1e4": _scaled(1e4),
    "times 1e-6": _scaled(1e-6),
}
FUNCTIONS = ("block", "gram", "vjp", "gram_vjp")
BOUNDS = {"block": 2e-6, "gram": 2e-6, "vjp": 1e-4, "gram_vjp": 1e-4}
"""What float32 must reach."""
_SMALL_IMAGES = 1e-3
"""What gradients reach where images are so small beside the biases that float64 has few digits."""


# Where a kernel or its gradient has a choice: what is chosen, and which kinds of images meet it.
CONVENTIONS = (
    (
        "two patches are equal, in images that are not the same one",
        "k0 = 1/2, the singular terms of the gradient are 0",
        ("equal", "one pixel apart", "constant", "shared background", "black background"),
    ),
    (
        "two patches are opposite",
        "k0 = 0, the singular terms are 0",
        ("opposite",),
    ),
    (
        "a pixel meets itself, on the diagonal of a Gram matrix",
        "both kernels halve, forwards and backwards; `vjp` and `block` know no diagonal",
        tuple(KINDS),
    ),
    (
        "a patch has no variance: it is black, and there is no bias",
        "n' = t' = 0, and the slope of n' in n is k0 = 1/4",
        ("a zero image", "black background"),
    ),
)


class Row(NamedTuple):
    """One error."""

    architecture: str
    kernel: str
    images: str
    function: str
    error: float


def errors(
    backend: str,
    *,
    architectures: Iterable[str] = ARCHITECTURES,
    kernels: Iterable[str] = ("ntk", "nngp"),
    kinds: Iterable[str] = KINDS,
    dtype: type = np.float32,
) -> Iterator[Row]:
    """Yield what a backend makes of images of `dtype`, against float64.

    Args:
        backend: a name that `stillhouse.kernels.kernel` takes; architectures that it refuses are
            passed over.
        architectures: keys of `ARCHITECTURES`.
        kernels: "ntk", "nngp" or both.
        kinds: keys of `KINDS`.
        dtype: of the images. For float64 the caller enables it in JAX.
    """
    kinds = tuple(kinds)
    for name in architectures:
        architecture, shape = ARCHITECTURES[name]
        for which in kernels:
            spec = KernelSpec(architecture, which)  # type: ignore[arg-type]
            try:
                found = kernel(spec, backend=backend)
            except ValueError:
                continue
            for kind in kinds:
                for function, error in _errors(found, spec, *images(kind, shape, dtype)):
                    yield Row(name, which, kind, function, error)


def images(kind: str, shape: tuple[int, int, int], dtype: type = np.float32) -> Pair:
    """Return images of a kind, which float32 holds exactly, `[3, *shape]` and `[4, *shape]`."""
    rng = np.random.default_rng(0)
    pair = rng.normal(size=(_N1, *shape)), rng.normal(size=(_N2, *shape))
    first, second = KINDS[kind](pair, rng)
    return first.astype(np.float32).astype(dtype), second.astype(np.float32).astype(dtype)


def _errors(
    found: object, spec: KernelSpec, x1: np.ndarray, x2: np.ndarray
) -> Iterator[tuple[str, float]]:
    rng = np.random.default_rng(1)
    x = np.concatenate([x1[:2], x2[:2]])
    cotangent, square = rng.normal(size=(len(x1), len(x2))), rng.normal(size=(len(x), len(x)))
    yield "block", relative_error(found.block(x1, x2), exact.block(spec, x1, x2))
    yield "gram", relative_error(found.gram(x), exact.gram(spec, x))
    pairs = zip(found.vjp(x1, x2, cotangent), exact.vjp(spec, x1, x2, cotangent), strict=True)
    yield "vjp", max(relative_error(mine, theirs) for mine, theirs in pairs)
    gradient = exact.gram_vjp(spec, x, square)
    yield "gram_vjp", relative_error(found.gram_vjp(x, square), gradient)


def bound(row: Row) -> float:
    """Return the error that a row may have in float32."""
    if row.images == "times 1e-6" and "vjp" in row.function:
        return _SMALL_IMAGES
    if row.architecture == "pools everywhere" and "vjp" not in row.function:
        return 2 * BOUNDS[row.function]  # a ReLU behind a global average of float32 sums
    if row.images == "almost constant" and "vjp" not in row.function:
        return 3 * BOUNDS[row.function]  # nearly opposite images leave little of a kernel
    return BOUNDS[row.function]


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference over the largest entry; infinity for what is not finite."""
    largest = np.abs(expected).max() or 1.0
    error = float(np.abs(found - expected).max() / largest)
    return error if np.isfinite(error) else np.inf


def installed_backends() -> list[str]:
    """Return the backends that can be made here."""
    found = []
    for backend in BACKENDS[1:]:
        try:
            kernel(KernelSpec(convnet(1)), backend=backend)
        except ValueError as error:
            print(f"without {backend}: {error}", file=sys.stderr)
        else:
            found.append(backend)
    return found


def table(rows: list[Row]) -> list[str]:
    """Return, for each kind of images and function, the largest error and the network that has it.

    An asterisk is beyond its bound.
    """
    lines = [
        "| images | " + " | ".join(FUNCTIONS) + " |",
        "| --- |" + " --- |" * len(FUNCTIONS),
    ]
    for kind in dict.fromkeys(row.images for row in rows):
        cells = []
        for function in FUNCTIONS:
            mine = [row for row in rows if (row.images, row.function) == (kind, function)]
            worst = max(mine, key=lambda row: row.error)
            beyond = "*" if any(row.error > bound(row) for row in mine) else ""
            cells.append(f"{worst.error:.0e}{beyond} {worst.architecture}, {worst.kernel}")
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return lines


def page(parts: list[str], options: argparse.Namespace) -> str:
    """Return docs/oracle.md: conventions and bounds, then the tables."""
    names = list(options.backends)
    arguments = f"--backends {' '.join(names)} --write docs"
    networks = (
        f"{name} at {'x'.join(map(str, shape))}" for name, (_, shape) in ARCHITECTURES.items()
    )
    conventions = (
        f"| {where} | {what} | {'all' if len(kinds) == len(KINDS) else ', '.join(kinds)} |"
        for where, what, kinds in CONVENTIONS
    )
    return "\n".join(
        [
            "# Conventions, and how far float32 is from float64",
            "",
            f'Printed by `make oracle ARGS="{arguments}"`, which takes every network with either',
            "kernel (NTK and NNGP) and every kind of images, and ends with an error if one is",
            "beyond its bound (neural_tangents is shown for comparison). `make test` does the same",
            "for some of the networks.",
            "",
            "## Conventions",
            "",
            "The same in every backend, in float32 and float64; the symbols are those of [the",
            "mathematics](mathematics.md). `convnet, no bias` is the network without biases.",
            "",
            "| where | what holds | images that meet it |",
            "| --- | --- | --- |",
            *conventions,
            "",
            "## Errors",
            "",
            "The largest difference over the largest entry of float64's, of all networks, and the",
            "network and kernel that has it; an asterisk is beyond its bound. That is",
            f"{BOUNDS['block']:.0e} for kernels and {BOUNDS['vjp']:.0e} for gradients, but",
            f"{_SMALL_IMAGES:.0e} for gradients at images of size 1e-6 beside biases of 0.1; twice",
            "as much for the kernels of `pools everywhere`, where a ReLU follows a global average;",
            "and three times for those of almost constant images, which are nearly opposite and",
            "leave little of a kernel.",
            "",
            "The networks: " + "; ".join(networks) + ".",
            *parts,
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--backends", nargs="+", default=None)
    parser.add_argument("--architectures", nargs="+", default=ARCHITECTURES, choices=ARCHITECTURES)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--write", type=Path, help="folder for oracle.md")
    options = parser.parse_args()
    options.backends = options.backends or installed_backends()
    if options.write and not (set(options.architectures), set(options.kinds)) == (
        set(ARCHITECTURES),
        set(KINDS),
    ):
        parser.error("--write needs the whole: leave out --architectures and --kinds")
    text = []
    failed = False
    for backend in options.backends:
        rows = list(errors(backend, architectures=options.architectures, kinds=options.kinds))
        part = ["", f"## {backend}", "", *table(rows)]
        print("\n".join(part), flush=True)
        text += part
        # neural_tangents is another's, and computes in the dtype that it is given.
        failed |= backend != "neural_tangents" and any(row.error > bound(row) for row in rows)
    if options.write:
        (options.write / "oracle.md").write_text(page(text, options))
    sys.exit(failed)


if __name__ == "__main__":
    main()
