"""What the loops must do for one architecture and image size, as small tables of numbers.

An architecture is cut into **levels**: the convolutions and ReLUs at one resolution, then the pool
that ends it (1 x 1 where the last level is read out by `Flatten`; the whole image for
`GlobalAvgPool`). Walking the levels backwards gives each one its **band**: a pool of k pixels needs
displacements up to k r + k - 1 of what it reads to give those up to r of what it writes, and
`Flatten` reads displacement 0 alone.

The compiled functions are the same for every network: they read the tables of `records`.
"""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from stillhouse.kernels.architecture import Architecture, AvgPool, Conv, GlobalAvgPool, Relu
from stillhouse.kernels.band import radius_before
from stillhouse.kernels.fused.records import LAYER, LEVEL, PHASE, Plan


@dataclasses.dataclass(frozen=True)
class _Stage:
    """One level of an architecture: convolutions, which of them a ReLU follows, and the pool."""

    convolutions: tuple[Conv, ...]
    rectified: tuple[bool, ...]
    pool: tuple[int, int]


def unsupported_reason(architecture: Architecture) -> str | None:
    """Say which layer the fused backend has no code for, or return None if it has all."""
    for i, layer in enumerate(architecture.image_layers):
        if isinstance(layer, Conv):
            if layer.window[0] % 2 == 0 or layer.window[1] % 2 == 0:
                return f"Conv with the even window {layer.window} (layer {i})"
    return None


def input_pool(architecture: Architecture, height: int, width: int) -> tuple[int, int]:
    """Return the window of the average that stands before all other layers (1 x 1: none)."""
    window = (1, 1)
    for layer in architecture.image_layers:
        if not isinstance(layer, AvgPool):
            return window
        window = (window[0] * layer.window[0], window[1] * layer.window[1])
    return (height, width) if isinstance(architecture.readout, GlobalAvgPool) else window


def make_plan(
    architecture: Architecture,
    image_shape: tuple[int, int, int],
    *,
    variances_only: bool = False,
) -> Plan:
    """Lay out the loops for images `[h, w, c]`, pooled already by `input_pool`.

    Args:
        architecture: one that `unsupported_reason` has nothing to say about.
        image_shape: height, width and channels of what the first convolution reads.
        variances_only: leave out what only the readout needs: a pair of an image with itself then
            gives its variance maps at a fraction of the cost.
    """
    height, width, channels = image_shape
    stages = _stages(architecture, height, width)
    sizes = [(height, width)]
    for stage in stages:
        sizes.append((sizes[-1][0] // stage.pool[0], sizes[-1][1] // stage.pool[1]))
    bands = _bands(stages, sizes, variances_only)

    levels = np.zeros(len(stages), LEVEL)
    layers = np.zeros(sum(len(stage.convolutions) for stage in stages), LAYER)
    planes: list[int] = []
    phases: list[tuple[int, int, int]] = []
    end_layer = map_pixels = pooled_rows = work_rows = 0
    factor = 1.0 / channels
    for k, stage in enumerate(stages):
        level = levels[k]
        level["height"], level["width"] = sizes[k]
        level["out_height"], level["out_width"] = sizes[k + 1]
        level["pool_i"], level["pool_j"] = stage.pool
        level["band_i"], level["band_j"] = bands[k]
        level["out_i"], level["out_j"] = bands[k + 1]
        level["in_planes"] = levels[k - 1]["out_planes"] if k else 0
        level["out_planes"], level["out_start"] = len(planes), pooled_rows
        for di, dj in itertools.product(*(range(-r, r + 1) for r in bands[k + 1])):
            planes.append(pooled_rows)
            pooled_rows += (sizes[k + 1][0] - abs(di)) * (sizes[k + 1][1] - abs(dj))
        level["out_end"] = pooled_rows
        level["phases"] = len(phases)
        phases += _phases(level)
        level["first_layer"], level["end_layer"] = end_layer, end_layer + len(stage.convolutions)
        mine = layers[end_layer : level["end_layer"]]
        end_layer = level["end_layer"]
        map_pixels = _fill_layers(mine, stage, map_pixels, level["height"] * level["width"])
        mine["sees_image"][0] = k == 0
        # Images are multiplied without the division by C, and levels store sums over the pool's
        # pairs of pixels: the first filter that reads them makes up for it.
        mine["scale"][0] *= factor
        factor = 1.0 / (stage.pool[0] * stage.pool[1]) ** 2
        work_rows = max(work_rows, _lay_out_work(level, mine))
    return Plan(
        levels=levels,
        layers=layers,
        planes=np.array(planes, np.int64),
        phases=np.array(phases, PHASE),
        pooled_rows=pooled_rows,
        work_rows=work_rows,
        map_pixels=map_pixels,
        readout_scale=factor / (sizes[-1][0] * sizes[-1][1]),
    )


def _stages(architecture: Architecture, height: int, width: int) -> list[_Stage]:
    """Cut the image layers at the pools; pools in a row are one pool."""
    layers = [*architecture.image_layers]
    stages: list[_Stage] = []
    convolutions: list[Conv] = []
    rectified: list[bool] = []
    for layer, following in itertools.zip_longest(layers, layers[1:]):
        if isinstance(layer, Conv):
            convolutions.append(layer)
            rectified.append(isinstance(following, Relu))
        elif isinstance(layer, AvgPool) and (convolutions or stages):
            height, width = height // layer.window[0], width // layer.window[1]
            _end_stage(stages, convolutions, rectified, layer.window)
    if isinstance(architecture.readout, GlobalAvgPool):
        _end_stage(stages, convolutions, rectified, (height, width))
    elif convolutions:
        _end_stage(stages, convolutions, rectified, (1, 1))
    return stages


def _end_stage(
    stages: list[_Stage],
    convolutions: list[Conv],
    rectified: list[bool],
    pool: tuple[int, int],
) -> None:
    if convolutions:
        stages.append(_Stage(tuple(convolutions), tuple(rectified), pool))
        convolutions.clear()
        rectified.clear()
    else:
        last = stages.pop()
        window = (last.pool[0] * pool[0], last.pool[1] * pool[1])
        stages.append(dataclasses.replace(last, pool=window))


def _bands(
    stages: list[_Stage], sizes: list[tuple[int, int]], variances_only: bool
) -> list[tuple[int, int]]:
    """Return the largest displacement needed at the input of each level, and of the readout."""
    bands = [(0, 0)]
    for stage, shape in zip(reversed(stages), reversed(sizes[:-1]), strict=True):
        if variances_only and len(bands) == 1:
            bands.append((0, 0))
            continue
        bands.append(radius_before(stage.pool, bands[-1], shape))
    return bands[::-1]


def _phases(level: np.void) -> Iterator[tuple[int, int, int]]:
    """Yield the `PHASE` records of a level: p with displacement d goes to p // k, (p + d) // k."""
    width, k, cells = (int(level[name]) for name in ("width", "pool_j", "out_width"))
    for dj in range(-level["band_j"], level["band_j"] + 1):
        first, last = max(0, -dj), min(width, width - dj) - 1
        for phase in range(k):
            shift = (phase + dj) // k
            if abs(shift) > level["out_j"]:
                yield 0, 0, 0
                continue
            start = max(0, -shift, -((phase - first) // k))
            end = min(cells, cells - shift, (last - phase) // k + 1)
            yield shift, start, max(start, end)


def _fill_layers(layers: np.ndarray, stage: _Stage, map_pixels: int, area: int) -> int:
    """Describe a level's layers; return the number of pixels of all variance maps so far."""
    for layer, convolution in zip(layers, stage.convolutions, strict=True):
        rows, columns = convolution.window
        layer["rows"], layer["columns"] = rows, columns
        layer["scale"] = convolution.W_std**2 / (rows * columns)
        layer["bias"] = convolution.b_std**2
        layer["maps"] = map_pixels
        map_pixels += area
    layers["rectified"] = stage.rectified
    return map_pixels


def _lay_out_work(level: np.void, layers: np.ndarray) -> int:
    """Give every buffer of a level its work rows; return their number."""
    width = int(level["width"])
    border = int(max(layers["columns"])) // 2
    lag = int(sum(layers["rows"] // 2))
    level["border"], level["lag"] = border, lag
    end = 0

    def take(rows: int, padding: int = 0) -> int:
        nonlocal end
        start = end + padding
        end += rows * width + 2 * padding
        return start

    level["row_n"], level["row_t"] = take(1, border), take(1, border)
    for layer in layers:
        lag -= int(layer["rows"]) // 2
        layer["kept_rows"] = 2 * lag + 1
        for name in ("window_n", "window_t", "back_n", "back_t"):
            layer[name] = take(int(layer["rows"]))
        for name in ("kept_n", "kept_t"):
            layer[name] = take(int(layer["kept_rows"]))
    return end
