"""`stillhouse distill`: run a job to its end, or from where it was."""

from stillhouse.launch.devices import use_threads_of
from stillhouse.launch.engines.engine import engine_for
from stillhouse.launch.errors import bad_input
from stillhouse.launch.prepare import prepare
from stillhouse.launch.running import summarise_if_finished
from stillhouse.launch.settings.run import DistillConfig


def run(config: DistillConfig) -> int:
    """Distil, and return the exit code.

    Raises:
        CommandError: if the settings are wrong, or the run was stopped.
    """
    with bad_input():
        use_threads_of(config)
        engine = engine_for(config)
        job = prepare(config)
    if summarise_if_finished(job):
        return 0
    return engine.run(job)
