"""What every engine can do, and which one the settings name."""

import importlib.util
import sys
from typing import Protocol

from stillhouse.launch.jobs import AnyConfig, AnyJob

_LAST_PYTHON_OF_LAUNCHPAD = (3, 10)


class Engine(Protocol):
    """Somebody who runs a job to its end, wherever its tasks are computed.

    The bits of the result are the same by all of them.
    """

    def run(self, job: AnyJob) -> int:
        """Run a job to its end, or from where it was, and return the exit code.

        Whatever happens, nothing that was started for it is left behind.

        Raises:
            CommandError: if it cannot begin, or was stopped.
        """
        ...


class Crew(Protocol):
    """The worker processes of an engine that has any; a context manager that ends them all."""

    def start(self, job: AnyJob) -> None:
        """Start the workers, and whoever else belongs to the run."""
        ...

    def scale(self, workers: int) -> None:
        """Have so many workers from now on: start new ones, or end the last ones."""
        ...

    def workers(self) -> tuple[str, ...]:
        """Return the names of the workers that are there."""
        ...

    def kill(self, worker: str) -> None:
        """End a worker at once, as an accident would; the engine starts it again.

        Raises:
            KeyError: if there is no such worker.
        """
        ...

    def stop(self) -> None:
        """End all that was started."""
        ...


def engine_for(config: AnyConfig) -> Engine:
    """Return the engine that the settings name, without starting anything.

    Raises:
        ValueError: if it does not run here.
    """
    # Each imported only where it is used: none is needed for the others.
    name = config.engine.engine
    if name == "launchpad":
        _check_launchpad()
        from stillhouse.launch.engines.launchpad import LaunchpadEngine

        return LaunchpadEngine()
    if name == "ray":
        from stillhouse.launch.engines.ray import RayEngine

        return RayEngine(config)
    from stillhouse.launch.engines.in_process import InProcessEngine

    return InProcessEngine()


def _check_launchpad() -> None:
    if sys.version_info[:2] > _LAST_PYTHON_OF_LAUNCHPAD:
        here = ".".join(map(str, sys.version_info[:2]))
        raise ValueError(
            f"`--engine=launchpad` needs Python 3.10, and this is {here}; run it by python3.10, "
            "or give --engine=ray"
        )
    if importlib.util.find_spec("launchpad") is None:
        raise ValueError(
            "`--engine=launchpad` needs dm-launchpad, which is not installed; "
            "pip install 'stillhouse[launchpad]', or give --engine=local"
        )
