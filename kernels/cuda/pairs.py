"""The loops over pairs of images on a GPU: blocks of a level after another, and back.

What stands between levels is device memory, so a block goes through it in rectangles of as many
pairs as fit. A pair's numbers do not depend on the rectangle. What a vjp adds up over the second
images is added in runs of a length that the block's shape decides, then over the runs in order:
so a result depends on its arguments alone.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from stillhouse.kernels.cuda.device import Device, Memory
from stillhouse.kernels.cuda.plan import DeviceLevel, DevicePlan
from stillhouse.kernels.cuda.program import kernel_names, source
from stillhouse.kernels.fused.lanes import LANES
from stillhouse.kernels.fused.tables import Side
from stillhouse.kernels.threads import Workers

# Second images whose gradients a block adds up: few enough to keep all multiprocessors busy with
# some thousand blocks, and the sums in float32 short.
_LONGEST_RUN = 8
_SHORTEST_RUN = 8
_WANTED_BLOCKS = 1024

_FLOAT = 4  # bytes


@dataclasses.dataclass(frozen=True)
class DeviceImages:
    """Images on the device.

    Attributes:
        size: how many.
        maps: for each level the memory of `[n, maps, height, width]`: channels where the level sees
            the image, deviations by layer, and their inverses.
    """

    size: int
    maps: tuple[Memory, ...]


class PairLoops:
    """A network's loops at one image size, on one device."""

    def __init__(self, plan: DevicePlan, device: Device) -> None:
        """Compile the network's kernels for the device."""
        self._plan = plan
        self._device = device
        self._kernels = device.load(source(plan), kernel_names(plan))

    def upload(self, images: np.ndarray, groups: Sequence[Side], workers: Workers) -> DeviceImages:
        """Bring images to the device.

        Args:
            images: `[n, h, w, c]`.
            groups: the images in the lanes of the fused loops, with their variances.
            workers: threads that lay the groups out.
        """
        maps = [
            np.empty((len(images), level.maps, level.height, level.width), np.float32)
            for level in self._plan.levels
        ]

        def lay_out(group: int) -> None:
            part = slice(LANES * group, min(LANES * (group + 1), len(images)))
            self._lay_out(images[part], groups[group], [array[part] for array in maps])

        for _ in workers.in_order(lay_out, range(len(groups))):
            pass
        return DeviceImages(len(images), tuple(map(self._device.upload, maps)))

    def _lay_out(self, images: np.ndarray, group: Side, maps: Sequence[np.ndarray]) -> None:
        """Fill the maps of a group's images, level by level."""
        count = len(images)
        roots = np.ascontiguousarray(np.sqrt(group.variances[:, :count]).T)
        inverses = np.ascontiguousarray(group.inverses[:, :count].T)
        done = 0
        for level, to in zip(self._plan.levels, maps, strict=True):
            size = level.layers * level.height * level.width
            layers = slice(level.channels, level.channels + level.layers)
            for found, where in ((roots, layers), (inverses, slice(layers.stop, None))):
                to[:, where] = found[:, done : done + size].reshape(to[:, where].shape)
            done += size
            if level.sees_image:
                to[:, : level.channels] = np.moveaxis(images, -1, 1)

    def forward(self, first: DeviceImages, second: DeviceImages) -> tuple[np.ndarray, np.ndarray]:
        """Return n and t of the readout, float64 `[n1, n2]`; zeros for t without one."""
        result = np.empty((first.size, second.size, 2))
        most = max(1, self._device.scratch_bytes // (_FLOAT * max(self._plan.forward_floats, 1)))
        width = min(second.size, most)
        height = min(first.size, max(1, most // width))
        pooled = [level.out_size for level in self._plan.levels if level.pools]
        scratch = self._reserve(pooled, height * width)
        for rows in _spans(first.size, height):
            for columns in _spans(second.size, width):
                shape = _length(rows), _length(columns)
                totals = self._device.reserve(_FLOAT * 2 * shape[0] * shape[1])
                self._forward(first, second, rows, columns, scratch, totals)
                result[rows, columns] = self._device.download(totals, (*shape, 2), np.float32)
        result *= self._plan.readout_scale
        return result[..., 0], result[..., 1]

    def backward(
        self, first: DeviceImages, second: DeviceImages, g_n: np.ndarray, g_t: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the vjp of `forward` by the first images.

        Args:
            first: the images whose gradient is wanted.
            second: the others.
            g_n: cotangent of n, `[n1, n2]`.
            g_t: cotangent of t.

        Returns:
            Of the pixels, float64 `[n1, h, w, c]`; and of the deviations times the deviations,
            `[n1, pixels of all variance maps]`.
        """
        levels, device = self._plan.levels, self._device
        readout = np.stack([g_n, g_t], axis=-1) * self._plan.readout_scale
        rows_of_block = levels[0].backward_rows
        run = _run_length(-(-first.size // rows_of_block), second.size, levels[0].backward_columns)
        # A whole run of columns for a block's rows at least; then as many as fit.
        most = device.scratch_bytes // (_FLOAT * max(self._plan.backward_floats, 1))
        runs = max(1, min(most // (run * rows_of_block), -(-second.size // run)))
        rows_at_once = max(1, most // (run * runs * rows_of_block)) * rows_of_block
        rows_at_once = min(rows_at_once, first.size)
        pairs = rows_at_once * min(run * runs, second.size)
        pooled = [level for level in levels if level.pools]
        scratch = self._reserve([level.out_size for level in pooled], pairs)
        cotangents = self._reserve([level.out_cotangents for level in pooled], pairs)
        sums = [np.zeros((first.size, *_gradient_shape(level))) for level in levels]
        for rows in _spans(first.size, rows_at_once):
            for columns in _spans(second.size, run * runs):
                given = device.upload(readout[rows, columns].astype(np.float32))
                found = self._backward(
                    first, second, rows, columns, run, scratch, cotangents, given
                )
                for total, part in zip(sums, found, strict=True):
                    total[rows] += part
        channels = levels[0].channels
        deviations = [
            total[:, level.channels :].reshape(first.size, -1)
            for level, total in zip(levels, sums, strict=True)
        ]
        pixels = np.ascontiguousarray(np.moveaxis(sums[0][:, :channels], 1, -1))
        return pixels, np.concatenate(deviations, axis=1)

    def _forward(
        self,
        first: DeviceImages,
        second: DeviceImages,
        rows: slice,
        columns: slice,
        scratch: Sequence[Memory],
        totals: Memory | None,
    ) -> None:
        """Run all levels of a rectangle; the last, the readout's, only where `totals` are asked."""
        for k, level in enumerate(self._plan.levels):
            if not level.pools and totals is None:
                return
            self._device.launch(
                self._kernels[f"forward{k}"],
                _grid(_length(columns), level.forward_columns, _length(rows), level.forward_rows),
                level.forward_threads,
                level.forward_shared,
                _address(first.maps[k], rows.start, level),
                _address(second.maps[k], columns.start, level),
                scratch[k - 1].address if k else 0,
                scratch[k].address if level.pools else 0,
                0 if level.pools or totals is None else totals.address,
                np.int32(_length(rows)),
                np.int32(_length(columns)),
            )

    def _backward(
        self,
        first: DeviceImages,
        second: DeviceImages,
        rows: slice,
        columns: slice,
        run: int,
        scratch: Sequence[Memory],
        cotangents: Sequence[Memory],
        readout: Memory,
    ) -> list[np.ndarray]:
        """Return the gradients of a rectangle, for each level `[rows, gradients, h, w]`."""
        self._forward(first, second, rows, columns, scratch, None)
        count, runs = _length(rows), -(-_length(columns) // run)
        found = []
        for k, level in reversed([*enumerate(self._plan.levels)]):
            size = int(np.prod(_gradient_shape(level)))
            partial = self._device.reserve(_FLOAT * count * runs * size)
            self._device.launch(
                self._kernels[f"backward{k}"],
                (runs, -(-count // level.backward_rows)),
                level.backward_threads,
                level.backward_shared,
                _address(first.maps[k], rows.start, level),
                _address(second.maps[k], columns.start, level),
                scratch[k - 1].address if k else 0,
                cotangents[k].address if level.pools else 0,
                readout.address,
                cotangents[k - 1].address if k else 0,
                partial.address,
                np.int32(count),
                np.int32(_length(columns)),
                np.int32(run),
            )
            sums = self._device.reserve(8 * count * size)
            self._device.launch(
                self._kernels["add_runs"],
                (-(-size // 256), count),
                256,
                0,
                partial.address,
                sums.address,
                np.int32(count),
                np.int32(runs),
                np.int32(size),
            )
            found.append((sums, (count, *_gradient_shape(level))))
        return [
            self._device.download(memory, shape, np.float64) for memory, shape in reversed(found)
        ]

    def _reserve(self, floats: Sequence[int], pairs: int) -> list[Memory]:
        return [self._device.reserve(_FLOAT * size * pairs) for size in floats]


def _address(maps: Memory, image: int, level: DeviceLevel) -> int:
    return maps.address + _FLOAT * image * level.maps * level.height * level.width


def _gradient_shape(level: DeviceLevel) -> tuple[int, int, int]:
    return level.gradients, level.height, level.width


def _grid(columns: int, by_columns: int, rows: int, by_rows: int) -> tuple[int, int]:
    return -(-columns // by_columns), -(-rows // by_rows)


def _run_length(row_blocks: int, columns: int, step: int) -> int:
    wanted = row_blocks * columns // _WANTED_BLOCKS
    run = max(_SHORTEST_RUN, min(_LONGEST_RUN, wanted))
    return -(-run // step) * step


def _length(part: slice) -> int:
    return part.stop - part.start


def _spans(length: int, size: int) -> Iterator[slice]:
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))
