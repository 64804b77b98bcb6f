"""What the server, the queue and the loaders of the Launchpad program do, each in its process."""

import functools
import os
import signal
import sys
from typing import Any

import launchpad as lp

from stillhouse.launch.devices import use_threads_of
from stillhouse.launch.engines import loaders
from stillhouse.launch.engines.processes import end_with_parent
from stillhouse.launch.engines.serving import run_served
from stillhouse.launch.engines.transports import Listening
from stillhouse.launch.engines.worker_node import as_node
from stillhouse.launch.errors import INTERRUPTED, TERMINATED, CommandError, bad_input
from stillhouse.launch.jobs import AnyConfig, command_of, prepare_any
from stillhouse.launch.logs import start_logging
from stillhouse.launch.prepare import prepare
from stillhouse.launch.settings.run import DistillConfig
from stillhouse.launch.settings.transport import TransportConfig
from stillhouse.launch.signals import StopSignals


class ServerNode(lp.CourierNode):
    """A node that shows its facade over Courier, and not, as its parent would, all of itself."""

    def run(self) -> None:
        """Run the job, and end the process with the run's exit code."""
        server = self._construct_instance()
        code = server.serve(lp.get_port_from_address(self.courier_address.resolve()))
        sys.stdout.flush()
        # An ordinary exit is aborted where a call of Reverb's still waits for a queue that died.
        os._exit(code)


class Server:
    """The server's node: the run itself.

    Args:
        config: of the run, checked already.
        launcher: the process that starts the nodes.
        queue: a `reverb.Client` of the target batches, None without loaders.
    """

    def __init__(self, config: AnyConfig, launcher: int, queue: Any) -> None:
        self._config, self._launcher, self._queue = config, launcher, queue

    def serve(self, port: int) -> int:
        """Run the job by the workers that call at the port, and return the exit code."""
        # A signal that a run knows: it saves what there is.
        end_with_parent(self._launcher, signal.SIGTERM)
        start_logging()
        with StopSignals() as signals:
            if lp.wait_for_stop(0):  # It came before we listened.
                return TERMINATED
            try:
                return self._run(port, signals)
            except CommandError as error:
                message, code = str(error), error.code
            except KeyboardInterrupt:
                message, code = "interrupted", INTERRUPTED
        print(f"stillhouse {command_of(self._config)}: error: {message}", file=sys.stderr)
        return code

    def _run(self, port: int, signals: StopSignals) -> int:
        with bad_input():
            if isinstance(self._config, DistillConfig):
                use_threads_of(self._config)
            job = prepare_any(self._config)
        courier = TransportConfig(transport="courier")
        listening = Listening(f"localhost:{port}", courier, job.folder.path)
        serve = functools.partial(run_served, job, listening, signals, may_come_back=False)
        if self._queue is None:
            return serve()
        most = loaders.AHEAD * self._config.engine.loaders
        with loaders.Arrivals(loaders.receive_from(self._queue), most) as arrivals:
            return serve(batches=functools.partial(loaders.LoadedBatches.over, arrivals=arrivals))


def run_loader(config: DistillConfig, launcher: int, queue: Any, index: int) -> None:
    """Be one of the loaders, until the last step's batch is in the queue."""
    with as_node(launcher) as stopped:
        job = prepare(config, for_real=False)
        count = config.engine.loaders
        loaders.load(job, queue, index=index, loaders=count, should_stop=stopped.is_set)


def queue_tables(launcher: int, count: int) -> list[Any]:
    """Return the tables of the Reverb node, which asks for them in its own process."""
    end_with_parent(launcher)
    # It holds nothing that could not be made again, so it need not be told gently.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return loaders.queue_tables(count)
