"""Where programs are computed: a task in, arrays out."""

from stillhouse.workers.connection import Refused, Server, ServerGone
from stillhouse.workers.local import LocalComputer, LocalRunner
from stillhouse.workers.loop import Work, work

__all__ = ["LocalComputer", "LocalRunner", "Refused", "Server", "ServerGone", "Work", "work"]
