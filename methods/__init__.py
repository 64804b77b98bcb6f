"""Distillation algorithms as pure steps: what to compute, never where.

The names below are those of the modules; each is imported when it is first asked for, so that a
method's settings can be read without waiting for JAX.
"""

import importlib
from typing import Any

_HOMES = {
    "algorithm": (
        "Algorithm",
        "Deserted",
        "Interrupted",
        "LearnsRecipe",
        "NonFiniteStepError",
        "Support",
    ),
    "kernel_regression.computer": ("KernelComputer",),
    "coresets": ("class_average", "kmeans_centres", "noise_images", "random_subset"),
    "costs": (
        "RunCost",
        "RunSizes",
        "check_memory",
        "evaluation_cost",
        "kip_cost",
        "label_solve_cost",
        "network_cost",
    ),
    "kernel_regression.evaluation": ("KrrAlgorithm", "KrrScoring", "Scores", "evaluate_krr"),
    "kernel_regression.kip": (
        "Kip",
        "KipConfig",
        "StepMetrics",
        "initial_state",
        "kip_step",
        "state_from_arrays",
        "state_to_arrays",
    ),
    "kernel_regression.label_solve": ("LabelSolve", "LabelSolver"),
    "learned": ("Learned", "begin_learning", "restore_learning"),
    "programs": ("ArrayType", "Context", "Program", "register"),
    "registry": ("METHODS", "add_method", "method_for"),
    "kernel_regression.ridge": ("RidgeStep", "krr_predict", "krr_step", "krr_weights"),
    "tasks": ("Outline", "Tally", "Task", "TaskRunner", "check_results", "run_task"),
    "kernel_regression.support_set": ("RegressionConfig", "SupportState"),
    "kernel_regression.tiled": ("TiledComputer",),
}

__all__ = sorted(name for names in _HOMES.values() for name in names)


def __getattr__(name: str) -> Any:
    """Import the module that has the name, and keep what it has."""
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(importlib.import_module(f"stillhouse.methods.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'stillhouse.methods' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
