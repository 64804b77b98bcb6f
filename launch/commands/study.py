"""`stillhouse study`: what distilled sets have learned."""

from stillhouse.launch.devices import use_threads
from stillhouse.launch.engines.engine import engine_for
from stillhouse.launch.errors import bad_input
from stillhouse.launch.settings.study import StudyConfig
from stillhouse.launch.studying import prepare_study, run_studies


def run(config: StudyConfig) -> int:
    """Make the studies that are missing and the page of all, and return the exit code.

    Raises:
        CommandError: if the settings are wrong, or the studies were stopped.
    """
    with bad_input():
        if config.engine.engine == "local":
            # As its workers would: the bits go with the threads.
            use_threads(config.compute.threads)
        engine = engine_for(config)
        job = prepare_study(config)
        finished = all(job.folder.read(study) is not None for study in job.studies)
    if finished:  # Nobody is started to write the page.
        return run_studies(job)
    return engine.run(job)
