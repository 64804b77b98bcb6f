"""The engine that needs nothing: everything in this process."""

from stillhouse.launch.jobs import AnyJob, run_any


class InProcessEngine:
    """An `Engine` that computes one task after another, here."""

    def run(self, job: AnyJob) -> int:
        """Run a job to its end, or from where it was, and return the exit code.

        Raises:
            CommandError: if the folder is in use, or the run was stopped.
        """
        return run_any(job)
