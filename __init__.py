"""Stillhouse: distil a dataset into a handful of synthetic images.

The names below are the public ones of the rooms, and the rooms themselves. Each is imported when it
is first asked for, so that `import stillhouse` and `stillhouse --help` need not wait for JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # What _HOMES says, for those who read types; a test compares the two.
    from stillhouse.data import Dataset as Dataset
    from stillhouse.data import DistilledSet as DistilledSet
    from stillhouse.data import dataset_from as dataset_from
    from stillhouse.data import dataset_from_arrays as dataset_from_arrays
    from stillhouse.data import fit_transform as fit_transform
    from stillhouse.data import load as load
    from stillhouse.data import load_dataset as load_dataset
    from stillhouse.data import load_distilled as load_distilled
    from stillhouse.data import save_distilled as save_distilled
    from stillhouse.kernels import Architecture as Architecture
    from stillhouse.kernels import Kernel as Kernel
    from stillhouse.kernels import KernelSpec as KernelSpec
    from stillhouse.kernels import conv as conv
    from stillhouse.kernels import convnet as convnet
    from stillhouse.kernels import fc as fc
    from stillhouse.kernels import kernel as kernel
    from stillhouse.kernels import myrtle as myrtle
    from stillhouse.launch.api import distill as distill
    from stillhouse.launch.scoring import evaluate as evaluate
    from stillhouse.methods.kernel_regression.evaluation import evaluate_krr as evaluate_krr
    from stillhouse.methods.kernel_regression.kip import KipConfig as KipConfig
    from stillhouse.methods.kernel_regression.kip import initial_state as initial_state
    from stillhouse.methods.kernel_regression.kip import kip_step as kip_step
    from stillhouse.methods.kernel_regression.label_solve import LabelSolver as LabelSolver
    from stillhouse.methods.kernel_regression.ridge import krr_predict as krr_predict
    from stillhouse.workers.local import LocalComputer as LocalComputer

__version__ = "0.1.0"

_ROOMS = ("analysis", "data", "kernels", "launch", "methods", "networks", "server", "workers")

_HOMES = {
    "data": (
        "Dataset",
        "DistilledSet",
        "dataset_from",
        "dataset_from_arrays",
        "fit_transform",
        "load",
        "load_dataset",
        "load_distilled",
        "save_distilled",
    ),
    "kernels": (
        "Architecture",
        "Kernel",
        "KernelSpec",
        "conv",
        "convnet",
        "fc",
        "kernel",
        "myrtle",
    ),
    "launch.api": ("distill",),
    "launch.scoring": ("evaluate",),
    "methods.kernel_regression.evaluation": ("evaluate_krr",),
    "methods.kernel_regression.kip": ("KipConfig", "initial_state", "kip_step"),
    "methods.kernel_regression.label_solve": ("LabelSolver",),
    "methods.kernel_regression.ridge": ("krr_predict",),
    "workers.local": ("LocalComputer",),
}

__all__ = sorted(name for names in _HOMES.values() for name in names)


def __getattr__(name: str) -> Any:
    """Import the room that has the name, and keep what it has."""
    if name in _ROOMS:
        return importlib.import_module(f"stillhouse.{name}")
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(importlib.import_module(f"stillhouse.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'stillhouse' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({"__version__", *__all__})  # The rooms are there too, and seldom looked for.
