"""What a method asks of whoever computes kernels."""

from typing import Protocol

import numpy as np

from stillhouse.data.pixel_images import Images
from stillhouse.kernels.spec import KernelSpec


class KernelComputer(Protocol):
    """Something that computes kernel matrices: this process, or many machines.

    A method never knows which. Equal arguments give equal bits, whoever computes them. All
    arrays are float32; images are `[n, h, w, c]`, in the space in which the kernel sees them, and
    those of targets may be the pixels of such.

    Attributes:
        elements: the kernel elements computed so far. A symmetric matrix `[n, n]` has
            n (n + 1) / 2; the backward pass counts like a forward pass.
    """

    elements: int

    def forward(
        self, spec: KernelSpec, x_s: np.ndarray, x_t: Images
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return K_ss `[s, s]` and K_ts `[t, s]`."""
        ...

    def backward(
        self,
        spec: KernelSpec,
        x_s: np.ndarray,
        x_t: Images,
        g_ss: np.ndarray,
        g_ts: np.ndarray,
    ) -> np.ndarray:
        """Return dL/dx_s `[s, h, w, c]` from the cotangents dL/dK_ss and dL/dK_ts.

        `g_ss` need not be symmetric: it is the derivative by each element of K_ss alone.
        """
        ...

    def gram(self, spec: KernelSpec, x: np.ndarray) -> np.ndarray:
        """Return the symmetric kernel of `x` with itself, `[n, n]`."""
        ...

    def cross(self, spec: KernelSpec, x: Images, x_s: np.ndarray) -> np.ndarray:
        """Return the kernel of `x` with `x_s`, `[n, s]`. Callers stream long `x` in chunks."""
        ...
