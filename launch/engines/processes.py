"""The processes of a Launchpad program on this host: started, watched, started again, ended.

Launchpad's own launcher ends a program ten seconds after Ctrl-C by SIGKILL, saved or not, starts
nothing again, and leaves its processes behind if it is killed itself. So the program and its nodes
are Launchpad's, and the processes are ours.
"""

import ctypes
import logging
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from stillhouse.launch.errors import BAD_INPUT

# Seconds until a process that was asked to end is made to, and between two starts of one.
_PATIENCE = 5.0
_BETWEEN_STARTS = 1.0
# What kills from outside; by any other signal a process came down itself.
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_MOST_CRASHES = 3
_PR_SET_PDEATHSIG = 1

_LOGGER = logging.getLogger(__name__)


def end_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal when its parent ends, in whatever way.

    Args:
        parent: the process that started this one.
        number: the signal.

    Raises:
        SystemExit: if the parent has ended already.
        OSError: if the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        raise SystemExit(1)


def commands_of(program: Any) -> dict[str, list[Sequence[str]]]:
    """Return the commands that are the nodes of a `launchpad.Program`, by group."""
    from launchpad.context import LaunchType
    from launchpad.nodes.python.local_multi_processing import to_multiprocessing_executables

    for nodes in program.groups.values():
        for node in nodes:
            node._initialize_context(LaunchType.LOCAL_MULTI_PROCESSING, launch_config=None)
    for label, nodes in program.groups.items():
        for node in nodes:
            for handle in node.input_handles:
                handle.connect(node, label)
    for node in program.get_all_nodes():
        node.bind_addresses()
    return {
        label: [
            command.command_as_list
            # Without the debugger that would wait at the terminal of whoever started this.
            for command in to_multiprocessing_executables(nodes, label, None, False)
        ]
        for label, nodes in program.groups.items()
    }


class NodeFailedError(Exception):
    """A node came down by itself, and would again.

    Attributes:
        code: its exit code.
    """

    def __init__(self, how: str, code: int) -> None:
        super().__init__(how)
        self.code = code


class Node:
    """One node of the program, and the process that is it at the moment.

    Args:
        name: such as `worker/0`.
        command: what starts it.
        needed: whether the run cannot do without it.

    Attributes:
        name, needed: as given.
    """

    def __init__(self, name: str, command: Sequence[str], *, needed: bool = True) -> None:
        self.name, self.needed = name, needed
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._crashes = 0

    def start(self) -> None:
        """Start the process."""
        # A session of its own: Ctrl-C at the terminal is for whoever asked for the run, who tells.
        self._process = subprocess.Popen(self._command, start_new_session=True)
        self._started = time.monotonic()

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None, "it was started"
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, minus the signal if it was one; None while the process lives."""
        assert self._process is not None, "it was started"
        return self._process.poll()

    def send(self, number: int) -> None:
        """Send the process a signal, if it lives."""
        assert self._process is not None, "it was started"
        self._process.send_signal(number)

    def end(self, *, until: float) -> None:
        """Wait for the end of the process until a time of the monotonic clock, then kill it."""
        assert self._process is not None, "it was started"
        try:
            self._process.wait(max(until - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def mend(self) -> None:
        """Start the process again if it was killed, or came down and may yet do better.

        Raises:
            NodeFailedError: if starting it again is no use.
        """
        code = self.poll()
        # Zero: it had nothing left to do.
        if not code or time.monotonic() < self._started + _BETWEEN_STARTS:
            return
        how = f"{self.name} ended with exit code {code}"
        if code < 0:
            how = f"{self.name} was ended by {signal.Signals(-code).name}"
        self._crashes += -code not in _FROM_OUTSIDE
        if code == BAD_INPUT or self._crashes == _MOST_CRASHES:
            raise NodeFailedError(how, code)
        _LOGGER.warning("%s; started again", how)
        self.start()


class Crowd:
    """The processes of a program; a context manager that leaves none of them."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def add(self, node: Node) -> Node:
        """Start a node."""
        node.start()
        self._nodes[node.name] = node
        return node

    def remove(self, name: str) -> None:
        """End a node for good."""
        node = self._nodes.pop(name)
        node.send(signal.SIGTERM)
        node.end(until=time.monotonic() + _PATIENCE)

    def __getitem__(self, name: str) -> Node:
        return self._nodes[name]

    def group(self, label: str) -> tuple[str, ...]:
        """Return the names of the nodes of a group, in the order of their start."""
        return tuple(name for name in self._nodes if name.startswith(f"{label}/"))

    def mend(self, except_for: str) -> None:
        """Start again whoever was killed, all but one.

        Raises:
            NodeFailedError: if one that is needed comes down whenever it is started, and no other
                of its group lives.
        """
        for node in [node for name, node in self._nodes.items() if name != except_for]:
            try:
                node.mend()
            except NodeFailedError as error:
                # What one is refused for, its like are refused for too.
                if node.needed and (error.code == BAD_INPUT or not self._has_others(node)):
                    raise
                _LOGGER.warning("%s; going on without it", error)
                del self._nodes[node.name]

    def _has_others(self, node: Node) -> bool:
        group = self.group(node.name.partition("/")[0])
        return any(self[name].poll() is None for name in group if name != node.name)

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def end(self) -> None:
        """Ask all to end, and make them after a few seconds."""
        for node in self._nodes.values():
            node.send(signal.SIGTERM)
        until = time.monotonic() + _PATIENCE
        for node in self._nodes.values():
            node.end(until=until)
        self._nodes.clear()
