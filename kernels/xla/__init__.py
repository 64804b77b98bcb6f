"""The displacement-band kernel in plain JAX: any device, every architecture with odd filters."""

from stillhouse.kernels.xla.backend import XlaKernel

__all__ = ["XlaKernel"]
