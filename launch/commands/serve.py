"""`stillhouse serve`: a run that is computed by workers which come and go."""

from stillhouse.launch.devices import use_threads_of
from stillhouse.launch.engines.serving import leave_gpus_to_workers, run_served
from stillhouse.launch.engines.transports import Listening, check_listening
from stillhouse.launch.errors import bad_input
from stillhouse.launch.prepare import prepare
from stillhouse.launch.running import summarise_if_finished
from stillhouse.launch.settings.run import ServeConfig
from stillhouse.launch.signals import StopSignals


def run(config: ServeConfig) -> int:
    """Distil by the workers that come, and return the exit code.

    Raises:
        CommandError: if the settings are wrong, or the run was stopped.
    """
    leave_gpus_to_workers()
    with bad_input():
        use_threads_of(config)
        check_listening(config.listen.address, config.transport)
        job = prepare(config, elsewhere=True)
    if summarise_if_finished(job):
        return 0
    with StopSignals() as signals:
        listening = Listening(config.listen.address, config.transport, job.folder.path)
        return run_served(job, listening, signals)
