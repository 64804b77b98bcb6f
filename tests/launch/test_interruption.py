"""Real processes, really interrupted: begun again they end in the same bits."""

import json
import signal
import subprocess
import sys
import time

import pytest

from stillhouse.launch.main import main

RUN = (
    *("distill", "--dataset=digits", "--architecture=fc", "--steps=300", "--target_batch=200"),
    "--eval_every=40",
)
PATIENCE = 120  # seconds that a process may take at all


@pytest.fixture(scope="module")
def whole(tmp_path_factory, bits):
    """The same run without an interruption."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert main([*RUN, "--checkpoint_every=25", f"--out={folder}"]) == 0
    return bits(folder)


@pytest.fixture
def start(processes, tmp_path):
    """Start the run, or have it go on."""

    def run(first=""):
        flags = ("--checkpoint_every=25", f"--out={tmp_path / 'run'}")
        return processes.start(*RUN, *flags, first=first)

    return run


@pytest.fixture
def again(start):
    """Have the run go on to its end, and return what it says."""

    def run():
        process = start()
        assert process.wait() == 0, process.said
        return process.said

    return run


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_stopped_by_a_signal_it_goes_on(
    start, again, wait_for_step, tmp_path, whole, bits, number, code
):
    folder, process = tmp_path / "run", start()
    wait_for_step(process, folder, 60)
    process.send(number)
    assert process.wait() == code
    assert not (folder / "result.json").exists()
    if number != signal.SIGKILL:
        last = process.said.strip().splitlines()[-1]
        assert "stopped after step" in last and "the same command goes on" in last
    assert "going on after step" in again()
    assert bits(folder) == whole


def test_killed_again_and_again_it_goes_on(start, again, wait_for_step, tmp_path, whole, bits):
    folder = tmp_path / "run"
    for steps in (5, 90, 170):
        process = start()
        wait_for_step(process, folder, steps)
        process.send(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    again()
    assert bits(folder) == whole
    # A run's time is that of all its processes.
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)


def test_a_file_system_that_fails_is_one_line(start, again, tmp_path, whole, bits):
    # Files can be written up to here and no further: the metrics get there.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (24_000, 24_000)); "
    process = start(first=limit)
    assert process.wait() == 1
    last = process.said.strip().splitlines()[-1]
    assert last.startswith("stillhouse distill: error: ")
    assert "File too large; the checkpoint of step" in last
    assert "Traceback" not in process.said
    again()
    assert bits(tmp_path / "run") == whole


FIRST = (
    "import os, sys; from stillhouse.launch import start; start.guard(); "
    "os.write(1, b'ready'); sys.exit(start.start())"
)


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3, 0.6, 1.0, 2.0])
def test_ctrl_c_counts_from_the_first_moment(tmp_path, delay):
    arguments = ("distill", "--dataset=digits", "--steps=100000", f"--out={tmp_path / 'run'}")
    command = [sys.executable, "-c", FIRST, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout.read(5) == b"ready"
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 130, errors
    assert b"Traceback" not in errors


@pytest.mark.parametrize(
    "passes_over",
    [
        # JAX has such a callback of the collector: Python says what it passes over,
        "gc.callbacks.append(pressed); gc.collect(); time.sleep(60)",
        # and extension modules pass over an error without a word.
        "quietly(); time.sleep(60)",
    ],
)
def test_ctrl_c_counts_where_it_is_passed_over(passes_over):
    program = (
        "import contextlib, gc, signal, sys, time\n"
        "from stillhouse.launch import main, start\n"
        "def pressed(*_): signal.raise_signal(signal.SIGINT)\n"
        "def quietly():\n"
        "    with contextlib.suppress(KeyboardInterrupt): pressed()\n"
        "def command():\n"
        "    start.ready()\n"
        f"    {passes_over}\n"
        "main.main, start._PATIENCE = command, 0.2\n"
        "start.start()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (130, b"stillhouse: error: interrupted\n")
