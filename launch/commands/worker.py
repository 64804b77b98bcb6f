"""`stillhouse worker`: compute tasks for a server."""

import logging as standard_logging
import sys

from absl import logging

from stillhouse.launch.devices import use_device
from stillhouse.launch.engines.transports import connect
from stillhouse.launch.errors import (
    BAD_INPUT,
    INTERRUPTED,
    STOPPED,
    CommandError,
    bad_input,
    one_line,
)
from stillhouse.launch.settings.workers import WorkerConfig
from stillhouse.launch.signals import StopSignals, end_now
from stillhouse.workers.loop import Refused, Work, work


def run(config: WorkerConfig) -> int:
    """Compute until the run ends, and return the exit code.

    Where it is stopped while it computes, the process ends here.

    Raises:
        CommandError: if the settings are wrong, or the server refuses this worker.
    """
    options = config.worker
    signals = StopSignals("this task")
    with bad_input():
        server = connect(options.server, config.transport, should_stop=signals.asked)
        use_device(options.device, options.threads)
    standard_logging.getLogger("stillhouse.workers").setLevel(standard_logging.INFO)
    with signals:
        try:
            done = work(
                server,
                device=options.device,
                threads=options.threads,
                max_idle=options.max_idle,
                cache_bytes=options.cache_bytes,
                should_stop=signals.asked,
                backend_override=options.backend,
            )
        except Refused as error:
            raise CommandError(one_line(error), BAD_INPUT) from error
        except KeyboardInterrupt:
            _complain("interrupted")
            end_now(signals.code or INTERRUPTED)
    code = _report(done, options.max_idle)
    if done.end == "stopped" and signals.code:
        code = signals.code
    if done.abandoned:
        end_now(code)
    return code


def _report(done: Work, max_idle: float) -> int:
    """Say what was done, and return the exit code that goes with it."""
    work = (
        f", {count:,} {unit}, {count / max(done.seconds[unit], 1e-9):,.0f}/s"
        for unit, count in done.work.items()
    )
    summary = f"{done.tasks:,} tasks done{''.join(work)}"
    if done.end == "gone":
        _complain(f"{done.reason} for {max_idle:g} s; {summary}")
        return STOPPED
    if done.end == "quarantined":
        _complain(f"the server has no more tasks for this worker: {done.reason}; {summary}")
        return STOPPED
    logging.info("%s; %s", "stopped" if done.end == "stopped" else "the run has ended", summary)
    return 0


def _complain(message: str) -> None:
    # In the words of `CommandError`, after which the process would end in the ordinary way.
    print(f"stillhouse worker: error: {message}", file=sys.stderr)
