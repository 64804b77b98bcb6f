"""`stillhouse plan`: what a run would cost."""

import json

from stillhouse.launch.calibration import Calibration, calibrate
from stillhouse.launch.config import PlanConfig
from stillhouse.launch.errors import BAD_INPUT, CommandError, bad_input, one_line
from stillhouse.launch.job import Job
from stillhouse.launch.memory import available_memory
from stillhouse.launch.prepare import prepare
from stillhouse.launch.progress import short_time
from stillhouse.methods.costs import check_memory


def run(config: PlanConfig) -> int:
    """Print the plan, and return the exit code.

    Raises:
        CommandError: if the settings are wrong, or the run would not fit in memory.
    """
    with bad_input():
        job = prepare(config, for_real=False)
    available = available_memory()
    try:
        check_memory(job.cost, available)
    except ValueError as error:
        if not config.output.json:
            print("\n".join(_sizes(job, available)))
        raise CommandError(one_line(error), BAD_INPUT) from error
    with bad_input():
        calibration = calibrate(job)
    if config.output.json:
        print(json.dumps(_as_json(job, calibration, available)))
    else:
        print("\n".join([*_sizes(job, available), *_times(job, calibration)]))
    return 0


def _sizes(job: Job, available: int) -> list[str]:
    cost = job.cost
    parts = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in cost.memory if size >= 5e6)
    return [
        job.summary(),
        f"kernel elements  {cost.elements:,}: {cost.forward_elements:,} forward, "
        f"{cost.backward_elements:,} backward",
        f"memory           about {cost.bytes / 1e9:.2f} GB of {available / 1e9:.2f} GB available "
        f"({parts})",
    ]


def _times(job: Job, calibration: Calibration) -> list[str]:
    seconds = calibration.seconds(job)
    speeds = f"{1 / calibration.forward:,.0f} elements/s forward"
    if calibration.backward:
        speeds += f", {1 / calibration.backward:,.0f} backward"
    return [f"time             about {short_time(seconds)} here, at {speeds}"]


def _as_json(job: Job, calibration: Calibration, available: int) -> dict[str, object]:
    return {
        "kernel_elements": job.cost.elements,
        "forward_elements": job.cost.forward_elements,
        "backward_elements": job.cost.backward_elements,
        "memory_bytes": job.cost.bytes,
        "memory": dict(job.cost.memory),
        "available_bytes": available,
        "seconds": round(calibration.seconds(job), 1),
        "seconds_per_forward_element": calibration.forward,
        "seconds_per_backward_element": calibration.backward,
    }
