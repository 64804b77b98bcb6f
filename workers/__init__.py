"""Where kernel blocks are computed: a task in, an array out."""

from stillhouse.workers.connection import Refused, Server, ServerGone
from stillhouse.workers.local import LocalComputer
from stillhouse.workers.loop import Work, work

__all__ = ["LocalComputer", "Refused", "Server", "ServerGone", "Work", "work"]
