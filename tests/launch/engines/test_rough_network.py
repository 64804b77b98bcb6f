"""A server and workers on two hosts between which packets are late, lost, and cut off for a while.

The hosts are network namespaces; what joins them is a process that hands packets on, since not
every kernel has `tc netem`.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid

import pytest

HEARTBEAT = 1.0
SERVER, WORKER = "10.77.0.1", "10.77.0.2"

# Takes two namespaces, and hands on what the one sends to the other: late by so many seconds, and
# but for this share of the packets.
LINK = """
import ctypes, fcntl, heapq, itertools, os, random, select, struct, sys, time
first, second, delay, loss = *sys.argv[1:3], *map(float, sys.argv[3:])
libc, ends = ctypes.CDLL(None, use_errno=True), []
for name in (first, second):
    space = os.open(f"/run/netns/{name}", os.O_RDONLY)
    if libc.setns(space, 0x40000000):  # CLONE_NEWNET
        sys.exit(f"setns: {os.strerror(ctypes.get_errno())}")
    end = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(end, 0x400454CA, struct.pack("16sH", b"tun0", 0x1001))  # TUNSETIFF: TUN, NO_PI
    ends.append(end)
print("ready", flush=True)
rng, late, order = random.Random(17), [], itertools.count()
other = dict(zip(ends, reversed(ends)))
while True:
    wait = max(late[0][0] - time.monotonic(), 0) if late else None
    for end in select.select(ends, [], [], wait)[0]:
        packet = os.read(end, 65536)
        if rng.random() >= loss:
            heapq.heappush(late, (time.monotonic() + delay, next(order), other[end], packet))
    while late and late[0][0] <= time.monotonic():
        *_, end, packet = heapq.heappop(late)
        try:
            os.write(end, packet)
        except OSError:
            pass  # That end is not up yet, or no longer.
"""


def run(*command):
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)


@pytest.fixture
def hosts():
    """Two namespaces that see each other through a bad line; and the process that is the line."""
    if os.geteuid() or shutil.which("ip") is None or not os.path.exists("/dev/net/tun"):
        pytest.skip("needs root, `ip` and /dev/net/tun")
    names = [f"stillhouse-{uuid.uuid4().hex[:8]}-{end}" for end in "ab"]
    with contextlib.ExitStack() as stack:
        try:
            for name in names:
                run("ip", "netns", "add", name)
                stack.callback(run, "ip", "netns", "del", name)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this machine lets nobody make network namespaces: {error.stderr.strip()}")
        link = subprocess.Popen(
            [sys.executable, "-c", LINK, *names, "0.05", "0.05"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        stack.callback(link.communicate)
        stack.callback(link.kill)
        if link.stdout.readline() != "ready\n":
            link.kill()
            pytest.skip(f"this machine lets nobody join namespaces: {link.stderr.read().strip()}")
        for name, address in zip(names, (SERVER, WORKER), strict=True):
            run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "tun0")
            run("ip", "-n", name, "link", "set", "tun0", "up")
            run("ip", "-n", name, "link", "set", "lo", "up")
        yield *names, link


def test_a_run_over_a_network_that_delays_loses_and_is_cut_gives_the_same_bits(
    hosts, processes, spots, locally, bits, wait_for_step, tmp_path
):
    first, second, link = hosts
    problem = (f"--dataset={spots}", "--architecture=fc", "--depth=1", "--steps=12",
               "--checkpoint_every=4", "--eval_every=0")  # fmt: skip
    on_first, on_second = (("ip", "netns", "exec", name) for name in (first, second))
    server = processes.start(
        *("serve", f"--address={SERVER}:18400", *problem, f"--heartbeat={HEARTBEAT}", "--out=run"),
        within=on_first,
    )
    token = f"--token_file={tmp_path / 'run' / 'token'}"
    flags = ("worker", f"--server={SERVER}:18400", token, "--threads=1")
    workers = [processes.start(*flags, within=on_second) for _ in range(2)]
    wait_for_step(server, tmp_path / "run", 4)
    # Nothing gets through for longer than a silent worker is believed to live.
    link.send_signal(signal.SIGSTOP)
    time.sleep(4 * HEARTBEAT)
    link.send_signal(signal.SIGCONT)
    assert server.wait() == 0, server.said
    assert bits(tmp_path / "run") == locally(problem)
    # The line may have lost that the run is over: then a worker gives up by itself.
    for worker in workers:
        worker.send(signal.SIGTERM)
        assert worker.wait(60) in (0, 143), worker.said
    assert len(re.findall("has joined", server.said)) >= 2
