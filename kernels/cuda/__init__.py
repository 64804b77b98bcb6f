"""Loops of our own over pairs of images on NVIDIA's GPUs."""

from stillhouse.kernels.cuda.backend import CudaKernel
from stillhouse.kernels.cuda.device import missing_reason

__all__ = ["CudaKernel", "missing_reason"]
