"""Runs: their loop, their folder, their checkpoints and metrics."""

from stillhouse.server.algorithms import Algorithm, Kip, LabelSolve
from stillhouse.server.checkpoints import Checkpoint, CheckpointError, CheckpointStore
from stillhouse.server.distillation import distil
from stillhouse.server.evaluation import Evaluation, Interrupted
from stillhouse.server.metrics import MetricsLog, read_metrics
from stillhouse.server.outcome import Outcome, finish
from stillhouse.server.run_folder import RunFolder
from stillhouse.server.schedule import Progress, Schedule

__all__ = [
    "Algorithm",
    "Checkpoint",
    "CheckpointError",
    "CheckpointStore",
    "Evaluation",
    "Interrupted",
    "Kip",
    "LabelSolve",
    "MetricsLog",
    "Outcome",
    "Progress",
    "RunFolder",
    "Schedule",
    "distil",
    "finish",
    "read_metrics",
]
