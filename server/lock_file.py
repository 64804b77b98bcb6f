"""A file that says who is at work in a folder, where the file system has no locks."""

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

NAME = ".lock.json"


def take(folder: Path) -> Path:
    """Make the lock file of a folder, and return it; whoever is done removes it.

    One that is left by a process of this host which has ended is taken over. Of another host nobody
    here can tell.

    Raises:
        ValueError: if another process is at work there, or may be.
        OSError: if it cannot be written.
    """
    path = folder / NAME
    for _ in range(2):
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            holder = _read(path)
            if not _has_ended(holder):
                raise ValueError(_refusal(folder, path, holder)) from None
            path.unlink(missing_ok=True)
            continue
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(_this_process(), file)
        return path
    raise ValueError(_refusal(folder, path, _read(path)))


def _this_process() -> dict[str, Any]:
    pid = os.getpid()
    taken = time.strftime("%Y-%m-%d %H:%M:%S")
    return {"host": socket.gethostname(), "pid": pid, "started": _started(pid), "taken": taken}


def _started(pid: int) -> str:
    """Return when a process began, in the kernel's ticks; empty where that is not known.

    With it a number that another process was given meanwhile is no mistake.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _has_ended(holder: dict[str, Any]) -> bool:
    pid = holder.get("pid")
    if holder.get("host") != socket.gethostname() or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return bool(holder.get("started")) and _started(pid) != holder["started"]


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _refusal(folder: Path, path: Path, holder: dict[str, Any]) -> str:
    who = f"process {holder.get('pid', '?')} on {holder.get('host', 'a host')}"
    return (
        f"`--out`: {who} is running in {folder} since {holder.get('taken', 'some time')}; wait for "
        f"it, or give another folder. If it has ended, remove {path}"
    )
