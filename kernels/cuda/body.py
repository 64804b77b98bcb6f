"""The image layers of a network whose pairs a GPU computes.

What is known of each image alone - its deviations, and its kernel with itself - is a small part of
the work, and comes from the fused loops on the processor, as does the last step of a vjp, which
carries what the deviations have got back to the pixels.
"""

import dataclasses
from typing import Any

import numpy as np

from stillhouse.kernels.cuda.device import Device
from stillhouse.kernels.cuda.pairs import DeviceImages, PairLoops
from stillhouse.kernels.cuda.plan import make_plan
from stillhouse.kernels.fused.convolutional import ConvolutionalBody
from stillhouse.kernels.fused.sides import Gradient, Prepared
from stillhouse.kernels.spec import KernelSpec
from stillhouse.kernels.threads import Workers

# Images that are prepared at a time: while the device pairs them, the processor prepares the next.
_PANEL = 256


class CudaBody(ConvolutionalBody):
    """A `Body` whose pairs are computed on a device."""

    def __init__(self, spec: KernelSpec, image_shape: tuple[int, int, int], device: Device) -> None:
        """Lay out and compile the loops.

        Raises:
            NotImplementedError: if the device has no code for the network at this size.
        """
        super().__init__(spec.architecture, image_shape, with_t=spec.kind == "ntk")
        self._loops = PairLoops(make_plan(spec, image_shape, device.shared_bytes), device)
        self._image_shape = image_shape
        self.panel = _PANEL

    def prepare(self, images: np.ndarray, workers: Workers, *, selves: bool) -> Prepared:
        """Prepare images as the fused loops do, and bring them to the device."""
        prepared = super().prepare(images, workers, selves=selves)
        device = self._loops.upload(images, prepared.images, workers)
        return _OnDevice(**_fields(prepared), device=device)

    def pairs(
        self, rows: Prepared, columns: Prepared, workers: Workers, *, upper: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return n and t of all pairs."""
        return self._loops.forward(_device(rows), _device(columns))

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
        row_gradient, column_gradient = gradients
        if upper and row_gradient is column_gradient:  # One set of images, on either side.
            g_n, g_t, column_gradient = g_n + g_n.T, g_t + g_t.T, None
        for gradient, first, second, n, t in (
            (row_gradient, rows, columns, g_n, g_t),
            (column_gradient, columns, rows, g_n.T, g_t.T),
        ):
            if gradient is not None:
                pixels, deviations = self._loops.backward(_device(first), _device(second), n, t)
                gradient.pixels += pixels.reshape(gradient.pixels.shape)
                gradient.deviations += deviations


@dataclasses.dataclass(frozen=True)
class _OnDevice(Prepared):
    device: DeviceImages


def _fields(prepared: Prepared) -> dict[str, Any]:
    return {field.name: getattr(prepared, field.name) for field in dataclasses.fields(prepared)}


def _device(images: Prepared) -> DeviceImages:
    assert isinstance(images, _OnDevice)
    return images.device
