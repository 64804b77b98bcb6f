"""`stillhouse plan`: what a run would cost."""

import json

from stillhouse.data.memory import available_memory
from stillhouse.launch.calibration import (
    Calibration,
    StepCalibration,
    calibrate,
    calibrate_steps,
)
from stillhouse.launch.devices import use_threads_of
from stillhouse.launch.errors import BAD_INPUT, CommandError, bad_input, one_line
from stillhouse.launch.feature_plan import Comparison, compare_features
from stillhouse.launch.fleet import FleetPlan, better_tiles, enough_workers, plan_fleet
from stillhouse.launch.job import Job
from stillhouse.launch.prepare import prepare
from stillhouse.launch.progress import short_time
from stillhouse.launch.settings.run import PlanConfig
from stillhouse.methods.costs import check_memory
from stillhouse.methods.kernel_regression.kernel_settings import KernelSettings


def run(config: PlanConfig) -> int:
    """Print the plan, and return the exit code.

    Raises:
        CommandError: if the settings are wrong, or the run would not fit in memory.
    """
    with bad_input():
        use_threads_of(config)
        job = prepare(config, for_real=False)
    available = available_memory()
    try:
        check_memory(job.cost, available)
    except ValueError as error:
        if not config.output.json:
            print("\n".join(_sizes(job, available)))
        raise CommandError(one_line(error), BAD_INPUT) from error
    with bad_input():
        by_tiles = isinstance(config.own, KernelSettings) and not job.cost.passes
        calibration = calibrate(job) if by_tiles else calibrate_steps(job)
        both = compare_features(job, calibration)
    workers, fleet, better = config.engine.workers, None, None
    enough = workers
    if workers > 1:
        fleet = plan_fleet(job, calibration, workers)
        better = better_tiles(job, calibration, workers)
        enough = enough_workers(job, calibration, fleet if better is None else better[1])
    if config.output.json:
        print(
            json.dumps(
                _as_json(job, calibration, available)
                | _fleet_json(fleet, better, enough)
                | _both_json(both)
            )
        )
    else:
        lines = [*_sizes(job, available), *_times(job, calibration), *_fleet_lines(job, fleet)]
        lines += [*_better_lines(better), *_enough_lines(enough, workers), *_both_lines(both)]
        lines += _audit_lines(job, calibration)
        print("\n".join(lines))
    return 0


def _sizes(job: Job, available: int) -> list[str]:
    cost = job.cost
    parts = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in cost.memory if size >= 5e6)
    work = []
    if cost.elements:
        work.append(
            f"kernel elements  {cost.elements:,}: {cost.forward_elements:,} forward, "
            f"{cost.backward_elements:,} backward"
        )
    if cost.passes:
        work.append(f"passes           {cost.passes:,} images once forward and back")
    return [
        job.summary(),
        *work,
        f"memory           about {cost.bytes / 1e9:.2f} GB of {available / 1e9:.2f} GB available "
        f"({parts})",
    ]


def _times(job: Job, calibration: Calibration | StepCalibration) -> list[str]:
    seconds = calibration.seconds(job)
    if isinstance(calibration, StepCalibration):
        return [
            f"time             about {short_time(seconds)} here: {calibration.step:.3g} s a step "
            f"of {calibration.tasks.tasks:,} tasks, {calibration.score:.3g} s to score the set"
        ]
    speeds = f"{1 / calibration.forward:,.0f} elements/s forward"
    if calibration.backward:
        speeds += f", {1 / calibration.backward:,.0f} backward"
    return [f"time             about {short_time(seconds)} here, at {speeds}"]


def _fleet_lines(job: Job, fleet: FleetPlan | None) -> list[str]:
    if fleet is None:
        return []
    steps = job.schedule.steps
    return [
        f"{f'{fleet.workers:,} workers':<17}about {short_time(fleet.seconds)} a step, "
        f"{short_time(steps * fleet.seconds)} for {steps:,}; busy {fleet.busy_share:.0%} of the "
        "time, each as fast as this machine",
        f"bytes of a step  {_size(fleet.bytes_down)} down, {_size(fleet.bytes_up)} up: "
        f"{fleet.ratio:.2f} x the least possible, {_size(fleet.least_bytes)}",
    ]


def _both_lines(both: Comparison | None) -> list[str]:
    if both is None:
        return []
    less = "features are less" if both.features < both.exact else "the exact kernel is less"
    return [
        f"exact, features  {both.exact:.3g} s a step by the exact kernel, {both.features:.3g} "
        f"s by --method=rfad --networks={both.networks}, whose gradient is about as good: {less}"
    ]


def _both_json(both: Comparison | None) -> dict[str, object]:
    if both is None:
        return {}
    return {
        "exact_step_seconds": both.exact,
        "features_step_seconds": both.features,
        "features_networks": both.networks,
    }


def _audit_lines(job: Job, calibration: Calibration | StepCalibration) -> list[str]:
    share = job.config.engine.audit
    if not share:
        return []
    again = short_time(share * calibration.seconds(job))
    return [f"audit            {share:.3g} of the tasks twice: about {again} more of worker time"]


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.2f} MB"


def _better_lines(better: tuple[int, FleetPlan] | None) -> list[str]:
    if better is None:
        return []
    elements, fleet = better
    return [
        f"tiles            --tile_elements={elements} keeps them busy {fleet.busy_share:.0%} of "
        f"the time, about {short_time(fleet.seconds)} a step"
    ]


def _enough_lines(enough: int, workers: int) -> list[str]:
    if enough == workers:
        return []
    return [f"enough           {enough:,} of the workers: a step takes hardly longer by them"]


def _fleet_json(
    fleet: FleetPlan | None, better: tuple[int, FleetPlan] | None, enough: int
) -> dict[str, object]:
    if fleet is None:
        return {}
    return {
        "workers": fleet.workers,
        "step_seconds": fleet.seconds,
        "busy_share": fleet.busy_share,
        "step_bytes_down": fleet.bytes_down,
        "step_bytes_up": fleet.bytes_up,
        "step_bytes_least": fleet.least_bytes,
        "step_bytes_ratio": fleet.ratio,
        "better_tile_elements": None if better is None else better[0],
        "enough_workers": enough,
    }


def _as_json(
    job: Job, calibration: Calibration | StepCalibration, available: int
) -> dict[str, object]:
    if isinstance(calibration, StepCalibration):
        speeds = {
            "seconds_per_step": calibration.step,
            "seconds_per_score": calibration.score,
            "tasks_per_step": calibration.tasks.tasks,
        }
    else:
        speeds = {
            "seconds_per_forward_element": calibration.forward,
            "seconds_per_backward_element": calibration.backward,
        }
    return {
        "kernel_elements": job.cost.elements,
        "forward_elements": job.cost.forward_elements,
        "backward_elements": job.cost.backward_elements,
        "passes": job.cost.passes,
        "memory_bytes": job.cost.bytes,
        "memory": dict(job.cost.memory),
        "available_bytes": available,
        "seconds": round(calibration.seconds(job), 1),
        **speeds,
        "audit_seconds": round(job.config.engine.audit * calibration.seconds(job), 1),
    }
