"""Networks with convolutions: chunks of pairs for the compiled loops, on threads.

The images of one side, the columns, lie side by side in the lanes, sixteen to a group; those of the
other side, the rows, are taken one by one. A chunk is one group of columns and some rows. Chunks
depend on the block's shape alone, and what they add to one gradient is added in their order.
"""

from collections.abc import Iterator

import numpy as np

from stillhouse.kernels.architecture import Architecture
from stillhouse.kernels.fused.backward import backward_pairs, backward_selves
from stillhouse.kernels.fused.forward import forward_pairs, forward_selves
from stillhouse.kernels.fused.lane_arrays import Buffers, in_lanes, padded, tables_of
from stillhouse.kernels.fused.lanes import LANES, lane_zeros
from stillhouse.kernels.fused.plan import make_plan
from stillhouse.kernels.fused.sides import OUT_OF_RANGE, Gradient, Prepared
from stillhouse.kernels.fused.tables import Side, SideGradient
from stillhouse.kernels.threads import Workers

_PANEL_BYTES = 1 << 22
_MAX_PANEL = 256
# Rows of a chunk: enough work for a call of some milliseconds, few enough for all threads to have
# some.
_CHUNK_ROWS = 8
_CHUNK_PIXELS = _CHUNK_ROWS * 256
_LARGEST_VARIANCE = 1e18  # whose square float32 still holds

_Chunk = tuple[slice, int]


class ConvolutionalBody:
    """The image layers of an architecture with at least one convolution, at one image size."""

    smallest_gap = 2.5e-7

    def __init__(
        self, architecture: Architecture, image_shape: tuple[int, int, int], *, with_t: bool
    ) -> None:
        """Lay out the loops.

        Args:
            architecture: the network.
            image_shape: `[h, w, c]` of the images.
            with_t: whether t is wanted, or n alone.
        """
        self._shape = image_shape
        self._pixels = int(np.prod(image_shape))
        plan = make_plan(architecture, image_shape)
        variance_plan = make_plan(architecture, image_shape, variances_only=True)
        channels = image_shape[2]
        self._whole = tables_of(plan, channels, with_t), Buffers(plan)
        self._variances = tables_of(variance_plan, channels, False), Buffers(variance_plan)
        self._maps = plan.map_pixels
        images = _PANEL_BYTES // (4 * (self._pixels + self._maps))
        self.panel = LANES * max(1, min(_MAX_PANEL, images) // LANES)
        area = image_shape[0] * image_shape[1]
        self._chunk_rows = max(_CHUNK_ROWS, min(_CHUNK_PIXELS // area, _MAX_PANEL))

    def prepare(self, images: np.ndarray, workers: Workers, *, selves: bool) -> Prepared:
        """Put images into lanes and compute their variances, and n and t if `selves`."""
        tables, buffers = self._whole if selves else self._variances
        flat = images.reshape(len(images), self._pixels)
        groups: list[Side] = []
        n, t = np.zeros((2, len(images)))

        def compute(start: int) -> tuple[Side, np.ndarray, np.ndarray]:
            pixels = in_lanes(flat[start : start + LANES])
            group = Side(pixels, lane_zeros(self._maps), lane_zeros(self._maps))
            group_n, group_t = lane_zeros(1), lane_zeros(1)
            forward_selves(tables, group, buffers.sums, buffers.work, group_n, group_t)
            if not (group.variances < _LARGEST_VARIANCE).all():
                raise FloatingPointError(OUT_OF_RANGE)
            return group, group_n[0], group_t[0]

        starts = range(0, len(images), LANES)
        for start, result in zip(starts, workers.in_order(compute, starts), strict=True):
            count = min(LANES, len(images) - start)
            groups.append(result[0])
            if selves:
                n[start : start + count], t[start : start + count] = (r[:count] for r in result[1:])
        return Prepared(len(images), groups, n, t)

    def pairs(
        self, rows: Prepared, columns: Prepared, workers: Workers, *, upper: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return n and t of all pairs; zeros in rows below all columns of a group if `upper`."""
        n, t = np.zeros((2, rows.size, columns.size))
        tables, buffers = self._whole
        side = _out_of_lanes(rows)

        def compute(chunk: _Chunk) -> tuple[np.ndarray, np.ndarray]:
            part, group = chunk
            chunk_n, chunk_t = (lane_zeros(part.stop - part.start) for _ in range(2))
            forward_pairs(
                tables,
                _rows_of(side, part),
                columns.images[group],
                buffers.sums,
                buffers.work,
                chunk_n,
                chunk_t,
            )
            return chunk_n, chunk_t

        chunks = list(self._chunks(rows, columns, upper))
        for chunk, results in zip(chunks, workers.in_order(compute, chunks), strict=True):
            target = _block(chunk, columns)
            width = target[1].stop - target[1].start
            n[target], t[target] = (result[:, :width] for result in results)
        return n, t

    def gradient(self, images: Prepared) -> Gradient:
        """Return zeros to add to."""
        zeros = np.zeros(images.size)
        return Gradient(
            np.zeros((images.size, self._pixels)),
            np.zeros((images.size, self._maps)),
            zeros,
            zeros.copy(),
        )

    def add_pairs_vjp(
        self,
        rows: Prepared,
        columns: Prepared,
        g_n: np.ndarray,
        g_t: np.ndarray,
        gradients: tuple[Gradient | None, Gradient | None],
        workers: Workers,
        *,
        upper: bool = False,
    ) -> None:
        """Add the vjp of `pairs` to the gradients of both sides, where they are wanted."""
        tables, buffers = self._whole
        side = _out_of_lanes(rows)
        row_gradient, column_gradient = gradients

        def compute(chunk: _Chunk) -> tuple[np.ndarray, ...]:
            part, group = chunk
            target = _block(chunk, columns)
            some = _rows_of(side, part)
            row_pixels, row_deviations = np.zeros_like(some.pixels), np.zeros_like(some.variances)
            lanes = self._lane_gradient(column_gradient is not None)
            backward_pairs(
                tables,
                some,
                columns.images[group],
                buffers.sums,
                buffers.cotangents,
                buffers.work,
                padded(g_n[target]),
                padded(g_t[target]),
                self._lane_gradient(row_gradient is not None),
                lanes,
                row_pixels,
                row_deviations,
            )
            return row_pixels, row_deviations, lanes.pixels, lanes.deviations

        chunks = list(self._chunks(rows, columns, upper))
        for chunk, results in zip(chunks, workers.in_order(compute, chunks), strict=True):
            part, part_columns = _block(chunk, columns)
            width = part_columns.stop - part_columns.start
            if row_gradient is not None:
                row_gradient.pixels[part] += results[0]
                row_gradient.deviations[part] += results[1]
            if column_gradient is not None:
                column_gradient.pixels[part_columns] += results[2].T[:width]
                column_gradient.deviations[part_columns] += results[3].T[:width]

    def finish(self, images: Prepared, gradient: Gradient, workers: Workers) -> np.ndarray:
        """Carry what the deviations and the images' own n and t have got back to the pixels."""
        is_whole = bool(np.any(gradient.n) or np.any(gradient.t))
        tables, buffers = self._whole if is_whole else self._variances

        def compute(start: int) -> np.ndarray:
            part = slice(start, start + LANES)
            lanes = self._lane_gradient(True)
            collected = gradient.deviations[part]
            lanes.deviations[:, : len(collected)] = collected.T
            backward_selves(
                tables,
                images.images[start // LANES],
                buffers.sums,
                buffers.cotangents,
                buffers.work,
                padded(gradient.n[None, part]),
                padded(gradient.t[None, part]),
                lanes,
            )
            return lanes.pixels

        result = gradient.pixels
        starts = range(0, images.size, LANES)
        for start, pixels in zip(starts, workers.in_order(compute, starts), strict=True):
            result[start : start + LANES] += pixels.T[: images.size - start]
        return result.reshape(-1, *self._shape)

    def _chunks(self, rows: Prepared, columns: Prepared, upper: bool) -> Iterator[_Chunk]:
        for group in range(len(columns.images)):
            end = min(rows.size, LANES * (group + 1)) if upper else rows.size
            # Of about one length: of eight rows and two, one thread would wait for the other.
            chunks = -(-end // self._chunk_rows)
            for k in range(chunks):
                yield slice(k * end // chunks, (k + 1) * end // chunks), group

    def _lane_gradient(self, wanted: bool) -> SideGradient:
        size = (self._pixels, self._maps) if wanted else (1, 1)
        return SideGradient(lane_zeros(size[0]), lane_zeros(size[1]), wanted)


def _out_of_lanes(images: Prepared) -> Side:
    """Return pixels and maps with images as rows, `[size, pixels]` and `[size, map pixels]`."""
    sides = (
        np.concatenate([lanes.T for lanes in parts]) for parts in zip(*images.images, strict=True)
    )
    return Side(*(np.ascontiguousarray(side[: images.size]) for side in sides))


def _rows_of(side: Side, part: slice) -> Side:
    return Side(*(array[part] for array in side))


def _block(chunk: _Chunk, columns: Prepared) -> tuple[slice, slice]:
    start = chunk[1] * LANES
    return chunk[0], slice(start, min(start + LANES, columns.size))
