"""The engine that needs nothing: everything in this process."""

from stillhouse.launch.job import Job
from stillhouse.launch.running import run_job


class InProcessEngine:
    """An `Engine` that computes one tile after another, here."""

    def run(self, job: Job) -> int:
        """Run a job to its end, or from where it was, and return the exit code.

        Raises:
            CommandError: if the folder is in use, or the run was stopped.
        """
        return run_job(job)
