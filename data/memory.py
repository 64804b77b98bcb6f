"""How much memory this process may still take."""

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def total_memory() -> int:
    """Return the bytes that this machine has, or those that the container may take."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(total, int((_CGROUP / "memory.max").read_text()))
    except (OSError, ValueError):
        return total  # No container, or one without a limit.


def available_memory() -> int:
    """Return the bytes that are free on this machine, or left of the container's limit.

    Where neither is known it is all of the machine's memory.
    """
    known = [_machine(), _container()]
    return min(size for size in known if size is not None)


def _machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # Not Linux.
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _container() -> int | None:
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        if limit == "max":
            return None
        used = int((_CGROUP / "memory.current").read_text())
        # Pages of files that are given back when memory is wanted.
        statistics = (_CGROUP / "memory.stat").read_text().split()
        used -= int(statistics[statistics.index("inactive_file") + 1])
        return max(int(limit) - used, 0)
    except (OSError, ValueError):
        return None  # No container, or one of the older kind.
