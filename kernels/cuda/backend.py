"""The `cuda` backend: pairs of images by loops of our own on a GPU, the rest by the xla backend."""

import functools
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from stillhouse.kernels.cuda.body import CudaBody
from stillhouse.kernels.cuda.check import agrees
from stillhouse.kernels.cuda.device import Device, first_device
from stillhouse.kernels.fused import FusedKernel
from stillhouse.kernels.fused.network import Network
from stillhouse.kernels.fused.sides import Prepared
from stillhouse.kernels.kernel import Kernel
from stillhouse.kernels.spec import KernelSpec
from stillhouse.kernels.threads import Workers

_LOGGER = logging.getLogger(__name__)

Shape = tuple[int, int, int]


class CudaKernel:
    """A kernel computed on a GPU, in float32.

    Pairs of images are the GPU's; what is known of each image alone is computed by the fused loops
    on the processor. The first block of each image size is preceded by a check against the xla
    backend, see `check`. Sizes and networks that the loops have no code for are left to xla.

    Attributes:
        spec: the architecture and kind.
        backend: "cuda".
    """

    backend = "cuda"

    def __init__(
        self,
        spec: KernelSpec,
        *,
        threads: int | None = None,
        device: Device | None = None,
        checks: bool = True,
    ) -> None:
        """Make the kernel; programs are compiled, or fetched from the cache, at the first block.

        Args:
            spec: the architecture and kind.
            threads: how many processor threads to use, by default one for each core.
            device: what computes the pairs; by default the first GPU.
            checks: whether to compare with xla before the first block of an image size.

        Raises:
            ValueError: if there is no GPU, or cuda.core is not installed; or as the xla backend.
        """
        from stillhouse.kernels.xla import XlaKernel

        self.spec = spec
        self._device = device or first_device()
        self._xla = XlaKernel(spec, threads=threads)
        self._threads = threads
        self._checks = checks
        self._chosen = functools.lru_cache(maxsize=8)(self._choose)

    def block(self, x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
        """Return K(x1, x2), `[n1, n2]`; see `Kernel.block`."""
        return self._for(x1).block(x1, x2)

    def vjp(
        self,
        x1: np.ndarray,
        x2: np.ndarray,
        cotangent: np.ndarray,
        *,
        wrt: tuple[int, ...] = (0, 1),
    ) -> tuple[np.ndarray, ...]:
        """Return gradients of sum(cotangent * K(x1, x2)); see `Kernel.vjp`."""
        return self._for(x1).vjp(x1, x2, cotangent, wrt=wrt)

    def gram(self, x: np.ndarray) -> np.ndarray:
        """Return K(x, x), `[n, n]`; see `Kernel.gram`. The diagonal is exact."""
        return self._for(x).gram(x)

    def gram_vjp(self, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """Return the gradient of sum(cotangent * K(x, x)); see `Kernel.gram_vjp`."""
        return self._for(x).gram_vjp(x, cotangent)

    def _for(self, images: np.ndarray) -> Kernel:
        """Return the kernel that computes images of this size."""
        shape = np.shape(images)[1:]
        # What is no batch of images is for the backend to refuse.
        return self._chosen(shape) if len(shape) == 3 and 0 not in shape else self._xla

    def _choose(self, image_shape: Shape) -> Kernel:
        self.spec.architecture.check_image(*image_shape[:2])
        size = " x ".join(map(str, image_shape))
        try:
            loops = _FusedPairs(self.spec, self._threads, self._device, image_shape)
        except NotImplementedError as error:
            _LOGGER.warning(
                "the cuda backend cannot compute %s (images %s); taking the slower xla", error, size
            )
            return self._xla
        if self._checks and not agrees(loops, self._xla, image_shape, self._device):
            _LOGGER.warning(
                "the cuda backend disagrees with xla on this %s (images %s): xla computes this run",
                self._device.name,
                size,
            )
            return self._xla
        return loops


class _FusedPairs(FusedKernel):
    """The fused backend with pairs on a device, at one image size.

    Raises:
        NotImplementedError: if the device has no code for the network at this size.
    """

    backend = "cuda"

    def __init__(
        self, spec: KernelSpec, threads: int | None, device: Device, image_shape: Shape
    ) -> None:
        super().__init__(spec, threads)
        make_body = functools.partial(CudaBody, spec, device=device)
        network = _Ahead(spec, image_shape, convolutional=make_body)
        self._network = lambda _: network  # The one size there is.


class _Ahead(Network):
    """A network whose next images are prepared while the device is busy with those before."""

    def panels(
        self, x: np.ndarray, workers: Workers, *, start: int = 0, selves: bool = False
    ) -> Iterator[tuple[slice, Prepared]]:
        """Yield what `Network.panels` does."""
        panels = super().panels(x, workers, start=start, selves=selves)
        with ThreadPoolExecutor(1) as ahead:
            following = ahead.submit(next, panels, None)
            while (panel := following.result()) is not None:
                following = ahead.submit(next, panels, None)
                yield panel
