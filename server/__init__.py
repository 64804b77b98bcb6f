"""Runs: their loop, their folder, their checkpoints and metrics, and the workers that compute."""

from stillhouse.server.blobs import BlobStore
from stillhouse.server.checkpoints import Checkpoint, CheckpointError, CheckpointStore
from stillhouse.server.distillation import distil
from stillhouse.server.leases import TaskRecord, WorkerInfo
from stillhouse.server.metrics import MetricsLog, read_metrics
from stillhouse.server.outcome import Outcome, finish
from stillhouse.server.planned import PlannedTask, planned
from stillhouse.server.pool import WorkerPool
from stillhouse.server.run_folder import RunFolder
from stillhouse.server.schedule import Progress, Schedule
from stillhouse.server.scheduler import Scheduler
from stillhouse.server.service import Service
from stillhouse.server.simulation import Simulation, simulate

__all__ = [
    "BlobStore",
    "Checkpoint",
    "CheckpointError",
    "CheckpointStore",
    "MetricsLog",
    "Outcome",
    "PlannedTask",
    "Progress",
    "RunFolder",
    "Schedule",
    "Scheduler",
    "Service",
    "Simulation",
    "TaskRecord",
    "WorkerInfo",
    "WorkerPool",
    "distil",
    "finish",
    "planned",
    "read_metrics",
    "simulate",
]
