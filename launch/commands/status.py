"""`stillhouse status`: how a run is doing."""

import collections
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stillhouse.launch.engines.transports import connect
from stillhouse.launch.errors import bad_input
from stillhouse.launch.job import describe_run
from stillhouse.launch.progress import short_time
from stillhouse.launch.settings.workers import StatusConfig
from stillhouse.server.device_kinds import in_words, kinds_of_folder
from stillhouse.server.metrics import read_metrics
from stillhouse.server.run_folder import RunFolder
from stillhouse.workers.connection import ServerGone

_SECONDS = 2.0
_CALL_SECONDS = 10.0
# How long a server is waited for that does not answer: it may be busy, or be started again.
_PATIENCE = 60.0
# Steps whose time says how long the others will take.
_RECENT = 20
# Workers, or hosts, that have a line each.
_MOST_SHOWN = 32
_HOST_HEAD = ["host", "workers", "busy", "idle", "set aside", "lost", "speed", "attempts"]
_CLEAR = "\x1b[H\x1b[2J"

Status = dict[str, Any]


def run(config: StatusConfig) -> int:
    """Print how a run is doing, once or until it ends, and return the exit code.

    Raises:
        CommandError: if there is no such run or server.
    """
    options = config.status
    with bad_input():
        read = _reader(config)
        status = read()
    terminal = options.watch and not options.json and sys.stdout.isatty()
    while True:
        text = json.dumps(status) if options.json else describe(status)
        print(_CLEAR + text if terminal else text, flush=True)
        if not options.watch or status["state"] == "finished":
            return 0
        with bad_input():
            again = _read_again(read)
        if again is None:
            return 0
        status = again


def _read_again(read: Callable[[], Status]) -> Status | None:
    """Return the next status; None if the server has ended, and is not started again meanwhile."""
    until = time.monotonic() + _PATIENCE
    while True:
        time.sleep(_SECONDS)
        try:
            return read()
        except ServerGone as error:
            if time.monotonic() > until:
                print(f"stillhouse status: {error}; the run may have ended", file=sys.stderr)
                return None


def describe(status: Status) -> str:
    """Return a status as lines for people."""
    lines = [status["run"], _progress_line(status)]
    if status.get("computed_by"):
        lines.append(in_words(status["computed_by"]))
    if "tasks" in status:
        lines += [_tasks_line(status["tasks"]), *_worker_lines(status["workers"])]
        lines += _set_aside_lines(status["workers"])
    return "\n".join(lines)


def _reader(config: StatusConfig) -> Callable[[], Status]:
    server = config.status.server
    if bool(config.file) == bool(server):
        raise ValueError(
            "name either a run folder, such as runs/digits, or a server, by --server=host:port"
        )
    if server:
        client = connect(server, config.transport, timeout=_CALL_SECONDS)
        return lambda: _of_server(client.status())
    folder = RunFolder(Path(config.file).expanduser())
    return lambda: _of_folder(folder)


def _of_server(answer: Status) -> Status:
    status = {name: value for name, value in answer.items() if name != "status"}
    return {"state": "running", **status, "run": answer["run"]["summary"]}


def _of_folder(folder: RunFolder) -> Status:
    if not folder.config.exists():
        raise ValueError(f"{folder.path} is no run folder: it holds no {folder.config.name}")
    settings, records = folder.read_settings(), read_metrics(folder.metrics)
    latest: Status = {}
    for values in records:
        latest |= values
    step, steps, result = latest.get("step", 0), settings["steps"], folder.read_result()
    status = {
        "state": "unfinished" if result is None else "finished",
        "run": describe_run(settings, settings["dataset"]),
        "step": step,
        "steps": steps,
        **{name: latest.get(name) for name in ("loss", "accuracy", "test_accuracy")},
        "seconds_left": None if result is None else 0.0,
        "computed_by": list((result or {}).get("computed_by") or kinds_of_folder(folder).computed),
    }
    recent = [values["seconds"] for values in records[-_RECENT:] if "seconds" in values]
    if result is None and len(recent) > 1:
        each = statistics.median(b - a for a, b in zip(recent, recent[1:], strict=False))
        status["seconds_left"] = round(each * (steps - step), 1)
    if result is None and records:
        status["seconds_since"] = round(time.time() - folder.metrics.stat().st_mtime, 1)
    return status


def _progress_line(status: Status) -> str:
    if not status["steps"]:
        return "before the first step"
    parts = [f"step {status['step']}/{status['steps']}"]
    for name, text in (("loss", "loss {:.5f}"), ("accuracy", "accuracy {:.3f}")):
        if status[name] is not None:
            parts.append(text.format(status[name]))
    if status["test_accuracy"] is not None:
        parts.append(f"test {status['test_accuracy']:.3f}")
    if status["state"] == "finished":
        parts.append("finished")
    elif _waits(status):
        parts.append("waiting for workers")
    elif status["seconds_left"] is not None:
        parts.append(f"{short_time(status['seconds_left'])} left")
    if "seconds_since" in status:
        parts.append(f"last step {short_time(status['seconds_since'])} ago")
    return "  ".join(parts)


def _waits(status: Status) -> bool:
    """Return whether nobody is there to compute what a server has."""
    workers = status.get("workers")
    return workers is not None and not any(w["state"] in ("idle", "busy") for w in workers)


def _set_aside_lines(workers: list[dict[str, Any]]) -> list[str]:
    lines = [f"{w['id']} is set aside: {w['reason']}" for w in workers if w.get("reason")]
    more = len(lines) - _MOST_SHOWN
    return lines if more <= 0 else [*lines[:_MOST_SHOWN], f"and {more:,} more are set aside"]


def _tasks_line(tasks: dict[str, int]) -> str:
    return (
        f"tasks: {tasks['queued']} queued, {tasks['leased']} leased, {tasks['done']:,} done in "
        f"{tasks['attempts']:,} attempts, {tasks['retries']:,} of them after a failure"
    )


def _worker_lines(workers: list[dict[str, Any]]) -> list[str]:
    if not workers:
        return ["no workers"]
    if len(workers) > _MOST_SHOWN:
        return _table([_HOST_HEAD, *_host_rows(workers)])
    rows = [["worker", "host", "pid", "device", "state", "speed", "attempts", "last seen"]]
    for worker in sorted(workers, key=lambda worker: worker["host"]):
        cells = [str(worker[name]) for name in ("id", "host", "pid", "device", "state")]
        seen = f"{short_time(worker['last_seen'])} ago"
        rows.append([*cells, _speeds([worker]), f"{worker['attempts']:,}", seen])
    return _table(rows)


def _host_rows(workers: list[dict[str, Any]]) -> list[list[str]]:
    """Return a row for each host, those with most workers first, and one for all of them."""
    hosts: dict[str, list[dict[str, Any]]] = {}
    for worker in workers:
        hosts.setdefault(worker["host"], []).append(worker)
    ordered = sorted(hosts, key=lambda host: (-len(hosts[host]), host))
    shown, rest = ordered[:_MOST_SHOWN], ordered[_MOST_SHOWN:]
    rows = [_host_row(host, hosts[host]) for host in shown]
    if rest:
        others = [worker for host in rest for worker in hosts[host]]
        rows.append(_host_row(f"{len(rest):,} other hosts", others))
    return [*rows, _host_row("in all", workers)]


def _host_row(host: str, workers: list[dict[str, Any]]) -> list[str]:
    counts = collections.Counter(worker["state"] for worker in workers)
    here = [worker for worker in workers if worker["state"] in ("busy", "idle")]
    attempts = sum(worker["attempts"] for worker in workers)
    states = [f"{counts[state]:,}" for state in ("busy", "idle", "quarantined", "lost")]
    return [host, f"{len(workers):,}", *states, _speeds(here), f"{attempts:,}"]


def _speeds(workers: list[dict[str, Any]]) -> str:
    """Return what workers do in a second of computing, all together."""
    totals: collections.Counter[str] = collections.Counter()
    for worker in workers:
        totals.update(worker["speeds"])
    return ", ".join(f"{speed:,.0f} {unit}/s" for unit, speed in totals.items()) or "-"


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
