"""The settings of workers, and of who watches them, as frozen dataclasses with flags."""

import dataclasses

from stillhouse.kernels import BACKENDS
from stillhouse.launch.settings.transport import TransportConfig
from stillhouse.methods.options import Checked, at_least, option, positive


def _device(name: str) -> str | None:
    right = name == "cpu" or (name.startswith("gpu:") and name[4:].isdigit())
    return None if right else "cpu, or gpu: and a number, such as gpu:0"


@dataclasses.dataclass(frozen=True)
class WorkerOptions(Checked):
    """Worker.

    Attributes:
        server: the address of the server.
        device: what computes.
        threads: processor threads; None for all.
        backend: what computes kernels; None for what the run does.
        max_idle: seconds.
        cache_bytes: of arrays; None for a sixteenth of the machine's memory.
    """

    server: str = option("localhost:18400", "host:port of the server")
    device: str = option("cpu", "what computes: cpu, or a GPU such as gpu:0", check=_device)
    threads: int | None = option(None, "processor threads (default: all cores)", check=at_least(1))
    backend: str | None = option(
        None,
        "what computes the kernels, of a run with --any_device (default: what the server says)",
        choices=tuple(name for name in BACKENDS if name != "auto"),
    )
    max_idle: float = option(
        60.0, "seconds after which to end when the server does not answer", check=positive
    )
    cache_bytes: int | None = option(
        None,
        "bytes of images and other arrays to keep, which travel once so (default: a sixteenth of "
        "this machine's memory)",
        check=at_least(0),
    )


@dataclasses.dataclass(frozen=True)
class WorkerConfig:
    """The settings of `worker`."""

    worker: WorkerOptions = WorkerOptions()
    transport: TransportConfig = TransportConfig()


@dataclasses.dataclass(frozen=True)
class StatusOptions(Checked):
    """Status.

    Attributes:
        server: the address of a server, in place of a run folder.
        watch: go on until the run ends.
        json: print JSON, a line each time.
    """

    server: str | None = option(None, "host:port of a server, in place of a run folder")
    watch: bool = option(False, "show it again every two seconds, until the run ends")
    json: bool = option(False, "print one line of JSON")


@dataclasses.dataclass(frozen=True)
class StatusConfig:
    """The settings of `status`; `file` is a run folder, or empty where a server is named."""

    file: str = ""
    status: StatusOptions = StatusOptions()
    transport: TransportConfig = TransportConfig()
