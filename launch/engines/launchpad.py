"""The engine that runs a server, workers and loaders on this host, as one Launchpad program."""

import functools
import os
import signal
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import launchpad as lp

from stillhouse.kernels.threads import default_threads
from stillhouse.launch.engines import nodes
from stillhouse.launch.engines.processes import Crowd, Node, NodeFailedError, commands_of
from stillhouse.launch.engines.serving import leave_gpus_to_workers
from stillhouse.launch.engines.worker_node import run_worker
from stillhouse.launch.errors import INTERRUPTED, STOPPED, TERMINATED, CommandError
from stillhouse.launch.jobs import AnyConfig, AnyJob
from stillhouse.launch.signals import CaughtSignals

_POLL_SECONDS = 0.1
_CALL_SECONDS = 20.0
_SERVER = "server/0"


def build_program(config: AnyConfig, devices: Sequence[str] = ("cpu",)) -> lp.Program:
    """Return the program of a run: a server, workers that pull from it, and maybe loaders.

    The loaders hand target batches to the server through a Reverb node. The nodes end with the
    process that called this.

    Args:
        config: of the run.
        devices: what computes; the workers take turns at them.
    """
    launcher, engine = os.getpid(), config.engine
    threads = config.compute.threads or max(default_threads() // engine.workers, 1)
    program = lp.Program("stillhouse")
    queue = None
    if engine.loaders:
        with program.group("queue"):
            tables = functools.partial(nodes.queue_tables, launcher, engine.loaders)
            queue = program.add_node(lp.ReverbNode(tables))
    with program.group("server"):
        server = program.add_node(nodes.ServerNode(nodes.Server, config, launcher, queue))
    server.set_client_kwargs(wait_for_ready=False, call_timeout=_CALL_SECONDS)
    with program.group("worker"):
        for index in range(engine.workers):
            device = devices[index % len(devices)]
            arguments = (server, launcher, device, threads, engine.workers)
            program.add_node(lp.PyNode(run_worker, *arguments))
    if engine.loaders:
        with program.group("loader"):
            for index in range(engine.loaders):
                program.add_node(lp.PyNode(nodes.run_loader, config, launcher, queue, index))
    return program


class LaunchpadEngine:
    """An `Engine` and a `Crew`: the processes of one Launchpad program."""

    def __init__(self) -> None:
        leave_gpus_to_workers()
        # TensorFlow, which comes with Reverb, tells at length which GPU libraries it misses.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        self._commands: dict[str, list[Any]] = {}
        self._crowd = Crowd()

    def run(self, job: AnyJob) -> int:
        """Run a job to its end, or from where it was, and return the exit code.

        Raises:
            CommandError: if the server was killed, or a node cannot be kept alive.
        """
        with _Requests() as requests, self:
            self.start(job)
            return self._wait(requests)

    def start(self, job: AnyJob) -> None:
        """Start all nodes; the server's makes the job again, in its own process."""
        self._commands = commands_of(build_program(job.config, _devices(job.backend)))
        for label, commands in self._commands.items():
            for index, command in enumerate(commands):
                needed = label in ("server", "worker")
                self._crowd.add(Node(f"{label}/{index}", command, needed=needed))

    def scale(self, workers: int) -> None:
        """Have so many workers from now on, each with the threads that they began with."""
        names, commands = self.workers(), self._commands["worker"]
        for name in names[workers:]:
            self._crowd.remove(name)
        for index in range(len(names), workers):
            self._crowd.add(Node(f"worker/{index}", commands[index % len(commands)]))

    def workers(self) -> tuple[str, ...]:
        """Return the names of the workers."""
        return self._crowd.group("worker")

    def kill(self, worker: str) -> None:
        """End a worker by SIGKILL; `run` starts it again."""
        self._crowd[worker].send(signal.SIGKILL)

    def stop(self) -> None:
        """End all nodes."""
        self._crowd.end()

    def __enter__(self) -> "LaunchpadEngine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _wait(self, requests: "_Requests") -> int:
        """Wait for the end of the server, and see to it that the others live as long."""
        server, failure = self._crowd[_SERVER], None
        while (code := server.poll()) is None:
            for _ in range(requests.take()):
                server.send(signal.SIGTERM)
            if failure is None and requests.code is None:
                try:
                    self._crowd.mend(except_for=_SERVER)
                except NodeFailedError as error:
                    failure = error
                    server.send(signal.SIGTERM)
            time.sleep(_POLL_SECONDS)
        if failure is not None:
            raise CommandError(f"{failure}, and again when started again", STOPPED) from failure
        if requests.code is not None and code in (TERMINATED, INTERRUPTED, -signal.SIGTERM):
            return requests.code
        if code < 0:
            name = signal.Signals(-code).name
            raise CommandError(
                f"the server was ended by {name}; the same command goes on from its last "
                "checkpoint",
                STOPPED,
            )
        return code


def _devices(backend: str) -> tuple[str, ...]:
    """Return what the workers of this host compute on."""
    if backend == "fused":
        return ("cpu",)
    import jax

    if jax.default_backend() != "gpu":
        return ("cpu",)
    return tuple(f"gpu:{i}" for i in range(jax.local_device_count()))


class _Requests(CaughtSignals):
    """Ctrl-C and SIGTERM, to be passed on: the first asks to stop, the second to stop at once."""

    def __init__(self) -> None:
        super().__init__()
        self._seen = self._taken = 0

    def receive(self, *, first: bool) -> None:
        """Count a signal."""
        self._seen += 1

    def take(self) -> int:
        """Return how many came since it was last asked.

        Raises:
            KeyboardInterrupt: after the third, which is for whoever does not end at two.
        """
        new, self._taken = self._seen - self._taken, self._seen
        if self._seen > 2:
            raise KeyboardInterrupt
        return new
