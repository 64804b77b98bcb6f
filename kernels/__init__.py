"""Infinite-width kernels: an architecture in, a kernel block or its vjp out."""

from stillhouse.kernels.architecture import (
    Architecture,
    AvgPool,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    Layer,
    Relu,
    conv,
    convnet,
    fc,
    myrtle,
)
from stillhouse.kernels.kernel import BACKENDS, Kernel, kernel
from stillhouse.kernels.spec import KernelSpec, Kind

__all__ = [
    "BACKENDS",
    "Architecture",
    "AvgPool",
    "Conv",
    "Dense",
    "Flatten",
    "GlobalAvgPool",
    "Kernel",
    "KernelSpec",
    "Kind",
    "Layer",
    "Relu",
    "conv",
    "convnet",
    "fc",
    "kernel",
    "myrtle",
]
