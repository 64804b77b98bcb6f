"""`stillhouse serve`: a run that is computed by workers which come and go."""

from stillhouse.launch.engines.courier_server import check_port, parse_address
from stillhouse.launch.engines.guard import import_courier
from stillhouse.launch.engines.serving import leave_gpus_to_workers, run_served
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
        import_courier()
        _, port = parse_address(config.listen.address, "address")
        check_port(port)
        job = prepare(config, elsewhere=True)
    if summarise_if_finished(job):
        return 0
    with StopSignals() as signals:
        return run_served(job, port, signals)
