"""How a network is laid out on a GPU: the constants of each level.

A level is the filters and ReLUs at one resolution, see `kernels.band`. A warp holds some groups of
lanes; a group has two displacements of the band along the width, and a lane of it some neighbouring
pixels of a row. Displacements along the height, and rows, run in sequence. What a level's pool sums
stands in device memory until the next level reads it, as planes [D along the height][slot][row of
cells][n, t][cells]; a slot is a displacement along the width, and behind those come slots for what
the last group of one warp owes to the first of the next.
"""

import dataclasses
import itertools
import math

from stillhouse.kernels.architecture import Conv, GlobalAvgPool, Relu
from stillhouse.kernels.band import Level, pair_levels
from stillhouse.kernels.spec import KernelSpec

_WARP = 32
# Pairs of a block by rows and columns, the first that fits a multiprocessor's shared memory. Pairs
# of a row or column share an image; eight warps leave each thread all the registers it can use.
_BLOCKS = {2: ((2, 2), (1, 2), (1, 1)), 1: ((2, 4), (2, 2), (1, 2), (1, 1))}
# What a row of a warp costs beside its pixels, in pixels: shuffles, addresses, loads.
_ROW_COST = 0.7
# Layers of a level with which a lane of four pixels fits the registers.
_MOST_LAYERS_OF_FOUR = 2
_MOST_LAYERS = 3


@dataclasses.dataclass(frozen=True)
class DeviceLevel:
    """The constants of one level; sizes are in floats.

    Attributes:
        height, width: of its maps.
        channels: of the image, where the level sees it; else 0.
        layers: how many convolutions, each with its ReLU.
        sees_image: whether it is the first.
        ntk: whether t is wanted beside n.
        band_i, band_j: the largest displacements, down and across.
        pools: whether pooled sums go to another level; else the level ends in the readout.
        pooled_readout: whether the readout takes pooled sums.
        out_i, out_j: the largest displacements of pooled sums, or of what the readout takes.
        out_height, out_width: of the pooled maps.
        scales: of each layer, W_std^2 / 9 times what its input is to be multiplied with.
        biases: of each layer, b_std^2.
        pixels: neighbouring pixels of a lane.
        padded_width: pixels of a group.
        lanes: of a group.
        groups: of a warp.
        first_group, last_group: the e of the band's ends; group e has dj = 2 e and 2 e + 1.
        parts: warps' worth of groups.
        warps: that share a pair.
        passes: of a pair's warps over the parts.
        fields: 2 for n and t, 1 for n alone.
        cells: pooled cells of a lane, along a row.
        maps: an image's channels, deviations by layer, and their inverses.
        first_map, first_size: floats of a first image's map, and of all of them.
        pad: zeros before a row of a second image's map.
        stride: from one of its rows to the next; the last row is followed by one of zeros.
        second_map, second_size: floats of such a map, and of all of them.
        owed: slots for what warps owe each other.
        slots: of a displacement D along the height.
        out_stride, out_row, out_plane, out_size: floats of a field, a row, a plane, a pair.
        out_cotangents: floats of the cotangents of a pair: planes without slots for what is owed.
        share: floats of a lane's cells of a row.
        pending: floats of a warp's sums that are not complete.
        waiting: what is set aside for them.
        portion: pixels of a lane whose gradient it adds up for all groups of its warp.
        gradients, gradient_size: maps that get a gradient, and their floats.
        in_slots, in_groups, in_stride, in_row, in_plane, in_size, in_cotangents: of what the level
            before writes; `in_groups` are the groups of its warps.
        forward_rows, forward_columns, forward_threads, forward_shared: of a block; bytes.
        backward_rows, backward_columns, backward_threads, backward_shared: the same.
    """

    height: int
    width: int
    channels: int
    layers: int
    sees_image: bool
    ntk: bool
    band_i: int
    band_j: int
    pools: bool
    pooled_readout: bool
    out_i: int
    out_j: int
    out_height: int
    out_width: int
    scales: tuple[float, ...]
    biases: tuple[float, ...]
    pixels: int
    padded_width: int
    lanes: int
    groups: int
    first_group: int
    last_group: int
    parts: int
    warps: int
    passes: int
    fields: int
    cells: int
    maps: int
    first_map: int
    first_size: int
    pad: int
    stride: int
    second_map: int
    second_size: int
    owed: int
    slots: int
    out_stride: int
    out_row: int
    out_plane: int
    out_size: int
    out_cotangents: int
    share: int
    pending: int
    waiting: int
    portion: int
    gradients: int
    gradient_size: int
    in_slots: int
    in_groups: int
    in_stride: int
    in_row: int
    in_plane: int
    in_size: int
    in_cotangents: int
    forward_rows: int
    forward_columns: int
    forward_threads: int
    forward_shared: int
    backward_rows: int
    backward_columns: int
    backward_threads: int
    backward_shared: int


@dataclasses.dataclass(frozen=True)
class DevicePlan:
    """A network at one image size, as the device computes it.

    Attributes:
        levels: first to last.
        readout_scale: factor of what the last level adds up.
    """

    levels: tuple[DeviceLevel, ...]
    readout_scale: float

    @property
    def forward_floats(self) -> int:
        """Floats between the levels of one pair, forward."""
        return sum(level.out_size for level in self.levels if level.pools)

    @property
    def backward_floats(self) -> int:
        """Floats between the levels of one pair for a vjp: the sums, and their cotangents."""
        return sum(level.out_size + level.out_cotangents for level in self.levels if level.pools)


def make_plan(spec: KernelSpec, image_shape: tuple[int, int, int], shared_bytes: int) -> DevicePlan:
    """Lay out a network for images `[h, w, c]`.

    Args:
        spec: the kernel.
        image_shape: height, width and channels.
        shared_bytes: shared memory that a block may have.

    Raises:
        ValueError: if pooling would leave nothing of the image.
        NotImplementedError: if the sources have no code for the network; the message says for what.
    """
    height, width, channels = image_shape
    if not spec.architecture.is_convolutional:
        raise NotImplementedError("a network without convolutions")
    levels = list(pair_levels(spec.architecture, (height, width)))
    _check_layers(levels)
    # Behind a last pool stands a level without layers: the readout, which the one before goes into.
    readout = levels.pop() if len(levels) > 1 and not levels[-1].layers else None
    made: list[DeviceLevel] = []
    for level, after in itertools.zip_longest(levels, levels[1:]):
        before = made[-1] if made else None
        # ReLUs leave four times their value, and a pool the sum over the pairs of a cell's pixels.
        factor = 1 / 4 / 16 if before else 1 / channels
        made.append(_lay_out(spec, level, before, after, readout, channels, factor, shared_bytes))
    area = math.prod((readout or levels[-1]).shape)
    entries = area**2 if isinstance(spec.architecture.readout, GlobalAvgPool) else area
    return DevicePlan(tuple(made), 1 / 4 / (16 if readout else 1) / entries)


def _check_layers(levels: list[Level]) -> None:
    """Raise `NotImplementedError` for layers that the sources do not know."""
    for k, level in enumerate(levels):
        if level.pool not in (None, (2, 2)):
            raise NotImplementedError(f"AvgPool with the window {level.pool}")
        if not level.layers and (k == 0 or k + 1 < len(levels)):
            raise NotImplementedError("a network that pools before it convolves, or twice in a row")
        pairs = itertools.zip_longest(level.layers[::2], level.layers[1::2])
        for first, second in pairs:
            if not isinstance(first, Conv) or not isinstance(second, Relu):
                raise NotImplementedError("a convolution that no ReLU follows")
            if first.window != (3, 3):
                raise NotImplementedError(f"Conv with the window {first.window}")
        if level.relus > _MOST_LAYERS:
            raise NotImplementedError(f"{level.relus} convolutions before a pool")


def _lay_out(
    spec: KernelSpec,
    level: Level,
    before: DeviceLevel | None,
    after: Level | None,
    readout: Level | None,
    channels: int,
    factor: float,
    shared_bytes: int,
) -> DeviceLevel:
    """Return a level's constants; the last one's output is pooled for the `readout`, or is its."""
    (height, width), (band_i, band_j) = level.shape, level.radius
    convolutions = [layer for layer in level.layers if isinstance(layer, Conv)]
    scales = [conv.W_std**2 / 9 for conv in convolutions]
    scales = [scales[0] * factor, *(scale / 4 for scale in scales[1:])]
    pools = after is not None
    ntk = spec.kind == "ntk"
    fields, layers = (2 if ntk else 1), level.relus
    channels = 0 if before else channels
    first_group, last_group = -((band_j + 1) // 2), band_j // 2
    wanted = last_group - first_group + 1
    pixels = _pixels(width, wanted, layers, pools)
    padded_width = max(_power_of_two(width), pixels)
    lanes = padded_width // pixels
    groups = _WARP // lanes
    parts = -(-wanted // groups)
    warps = 2 if parts > 1 else 1
    maps = channels + 2 * layers
    first_map = height * padded_width
    pad = -2 * first_group
    stride = width + pad + width % 2
    tail = pad + padded_width - width + 2
    second_map = (height + 1) * stride + -(-(pad + tail) // 4) * 4
    cells = max(pixels // 2, 1)  # One where none is pooled: no array is empty.
    share = fields * cells
    out_height, out_width = height // 2, width // 2
    out_stride = padded_width // 2
    out_row = fields * out_stride
    out_plane = out_height * out_row
    (out_i, out_j), owed = (after or readout or level).radius, parts - 1
    slots = 2 * out_j + 1 + owed
    pending = out_height * (_WARP + lanes) * share if pools else 0
    waiting = max(pending, 4)
    gradients = channels + layers
    common = maps * first_map, -(-maps * second_map // 4) * 4
    forward = _block(warps, common, warps * waiting, shared_bytes)
    backward = _block(warps, common, gradients * first_map, shared_bytes)
    return DeviceLevel(
        height=height,
        width=width,
        channels=channels,
        layers=layers,
        sees_image=before is None,
        ntk=ntk,
        band_i=band_i,
        band_j=band_j,
        pools=pools,
        pooled_readout=not pools and readout is not None,
        out_i=out_i,
        out_j=out_j,
        out_height=out_height,
        out_width=out_width,
        scales=tuple(scales),
        biases=tuple(conv.b_std**2 for conv in convolutions),
        pixels=pixels,
        padded_width=padded_width,
        lanes=lanes,
        groups=groups,
        first_group=first_group,
        last_group=last_group,
        parts=parts,
        warps=warps,
        passes=-(-parts // warps),
        fields=fields,
        cells=cells,
        maps=maps,
        first_map=first_map,
        first_size=common[0],
        pad=pad,
        stride=stride,
        second_map=second_map,
        second_size=common[1],
        owed=owed,
        slots=slots,
        out_stride=out_stride,
        out_row=out_row,
        out_plane=out_plane,
        out_size=(2 * out_i + 1) * slots * out_plane,
        out_cotangents=(2 * out_i + 1) * (2 * out_j + 1) * out_plane,
        share=share,
        pending=pending,
        waiting=waiting,
        portion=max(1, pixels // groups),
        gradients=gradients,
        gradient_size=gradients * first_map,
        in_slots=before.slots if before else 0,
        in_groups=before.groups if before else 1,
        in_stride=before.out_stride if before else 0,
        in_row=before.out_row if before else 0,
        in_plane=before.out_plane if before else 0,
        in_size=before.out_size if before else 0,
        in_cotangents=before.out_cotangents if before else 0,
        forward_rows=forward[0],
        forward_columns=forward[1],
        forward_threads=_WARP * warps * forward[0] * forward[1],
        forward_shared=forward[2],
        backward_rows=backward[0],
        backward_columns=backward[1],
        backward_threads=_WARP * warps * backward[0] * backward[1],
        backward_shared=backward[2],
    )


def _pixels(width: int, wanted: int, layers: int, pools: bool) -> int:
    """Return how many pixels of a row a lane takes, so that few lanes are idle."""
    costs = {}
    for pixels in (4, 2, 1):
        if (pixels == 4 and layers > _MOST_LAYERS_OF_FOUR) or (pixels == 1 and pools):
            continue
        lanes = max(_power_of_two(width) // pixels, 1)
        if lanes <= _WARP:
            costs[pixels] = -(-wanted // (_WARP // lanes)) * (pixels + _ROW_COST)
    if not costs:
        raise NotImplementedError(f"images {width} pixels wide")
    return min(costs, key=costs.__getitem__)


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()


def _block(
    warps: int, images: tuple[int, int], pair: int, shared_bytes: int
) -> tuple[int, int, int]:
    """Return rows, columns and bytes of shared memory of a block."""
    for rows, columns in _BLOCKS[warps]:
        size = 4 * (rows * images[0] + columns * images[1] + rows * columns * pair)
        if size <= shared_bytes:
            return rows, columns, size
    raise NotImplementedError(
        f"images of this size: a pair takes {size} bytes of shared memory, of {shared_bytes}"
    )
