"""Where kernel blocks are computed: a task in, an array out."""

from stillhouse.workers.local import LocalComputer

__all__ = ["LocalComputer"]
