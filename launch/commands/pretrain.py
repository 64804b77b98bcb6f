"""`stillhouse pretrain`: train networks on real images, into a pool."""

import json

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
        if config.engine.engine == "local" or config.planning.plan:
            # As its workers would: the bits go with the threads.
            use_threads(config.compute.threads)
        engine = engine_for(config)
        job = prepare_pretraining(config)
        if config.planning.plan:
            # Only here: what trains has no need of it.
            from stillhouse.launch.pretraining_plan import plan_pretraining

            plan = plan_pretraining(job)
            lines = [job.summary(), *plan.lines()]
            print(json.dumps(plan.to_dict()) if config.planning.json else "\n".join(lines))
            return 0
    if job.folder.path.exists() and not job.folder.missing():
        print(f"{job.folder.path} holds this pool, finished: nothing to do")
        summarise(job.folder)
        return 0
    return engine.run(job)
