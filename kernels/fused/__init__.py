"""Fused loops over displacement planes: the fast kernels on a CPU."""

from stillhouse.kernels.fused.backend import FusedKernel
from stillhouse.kernels.fused.plan import unsupported_reason

__all__ = ["FusedKernel", "unsupported_reason"]
