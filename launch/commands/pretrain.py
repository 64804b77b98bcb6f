"""`stillhouse pretrain`: train networks on real images, into a pool."""

from stillhouse.launch.devices import use_threads
from stillhouse.launch.engines.engine import engine_for
from stillhouse.launch.errors import bad_input
from stillhouse.launch.pretraining import prepare_pretraining, summarise
from stillhouse.launch.settings.pretrain import PretrainConfig


def run(config: PretrainConfig) -> int:
    """Train what is missing of the pool, and return the exit code.

    Raises:
        CommandError: if the settings are wrong, or the training was stopped.
    """
    with bad_input():
        if config.engine.engine == "local":
            # As its workers would: the bits go with the threads.
            use_threads(config.compute.threads)
        engine = engine_for(config)
        job = prepare_pretraining(config)
    if job.folder.path.exists() and not job.folder.missing():
        print(f"{job.folder.path} holds this pool, finished: nothing to do")
        summarise(job.folder)
        return 0
    return engine.run(job)
