"""The arrays that the compiled loops work on, in float32 or float64."""

import threading

import numpy as np

from stillhouse.kernels.fused.lanes import lane_zeros
from stillhouse.kernels.fused.records import Plan
from stillhouse.kernels.fused.tables import Sums, Tables


class Buffers(threading.local):
    """What one thread computes in."""

    def __init__(self, plan: Plan, dtype: type = np.float32) -> None:
        """Take up the room that a plan needs."""
        self._rows = plan.pooled_rows
        self._dtype = dtype
        self.sums = self._zeros()
        self.work = lane_zeros(plan.work_rows, dtype)
        self._cotangents: Sums | None = None

    @property
    def cotangents(self) -> Sums:
        """Those of `sums`."""
        if self._cotangents is None:
            self._cotangents = self._zeros()
        return self._cotangents

    def _zeros(self) -> Sums:
        return Sums(lane_zeros(self._rows, self._dtype), lane_zeros(self._rows, self._dtype))


def tables_of(plan: Plan, channels: int, with_t: bool) -> Tables:
    """Return a plan as the loops take it."""
    return Tables(
        plan.levels,
        plan.layers,
        plan.planes,
        plan.phases,
        len(plan.levels),
        channels,
        with_t,
        np.float32(plan.readout_scale),
    )


def in_lanes(flat: np.ndarray, dtype: type = np.float32) -> np.ndarray:
    """Return images `[count, pixels]` as `[pixels, LANES]`, the last repeated to fill the lanes."""
    result = lane_zeros(flat.shape[1], dtype)
    result[:, : len(flat)] = flat.T
    result[:, len(flat) :] = flat[-1][:, None]
    return result


def padded(cotangent: np.ndarray, dtype: type = np.float32) -> np.ndarray:
    """Return `[rows, count]` as `[rows, LANES]`, zero where lanes repeat an image."""
    result = lane_zeros(len(cotangent), dtype)
    result[:, : cotangent.shape[1]] = cotangent
    return result
