"""Distillation algorithms as pure steps: what to compute, never where."""

from stillhouse.methods.computer import KernelComputer
from stillhouse.methods.coresets import (
    class_average,
    kmeans_centres,
    noise_images,
    random_subset,
)
from stillhouse.methods.costs import (
    RunCost,
    RunSizes,
    check_memory,
    evaluation_cost,
    kip_cost,
    label_solve_cost,
)
from stillhouse.methods.evaluation import Scores, evaluate_krr
from stillhouse.methods.kip import (
    KipConfig,
    KipState,
    NonFiniteLossError,
    StepMetrics,
    initial_state,
    kip_step,
    state_from_arrays,
    state_to_arrays,
)
from stillhouse.methods.label_solve import LabelSolver
from stillhouse.methods.programs import (
    ArrayType,
    Context,
    KernelBlock,
    KernelBlockVjp,
    KernelGram,
    KernelGramVjp,
    Program,
    register,
)
from stillhouse.methods.ridge import RidgeStep, krr_predict, krr_step, krr_weights
from stillhouse.methods.tasks import Outline, Task, TaskRunner, check_results, run_task
from stillhouse.methods.tiled import TiledComputer

__all__ = [
    "register",
    "Program",
    "Outline",
    "KernelGramVjp",
    "KernelGram",
    "KernelBlockVjp",
    "KernelBlock",
    "Context",
    "ArrayType",
    "KernelComputer",
    "KipConfig",
    "KipState",
    "LabelSolver",
    "NonFiniteLossError",
    "RidgeStep",
    "RunCost",
    "RunSizes",
    "Scores",
    "StepMetrics",
    "Task",
    "TaskRunner",
    "TiledComputer",
    "check_memory",
    "check_results",
    "class_average",
    "evaluate_krr",
    "evaluation_cost",
    "initial_state",
    "kip_cost",
    "kip_step",
    "kmeans_centres",
    "krr_predict",
    "krr_step",
    "krr_weights",
    "label_solve_cost",
    "noise_images",
    "random_subset",
    "run_task",
    "state_from_arrays",
    "state_to_arrays",
]
