"""What carries calls between a server and its workers: gRPC against Courier, in one run.

    python benchmarks/transports.py                       # prints the table
    python benchmarks/transports.py --write docs          # also writes docs/transports.md
    python benchmarks/transports.py --idle 0 --seconds 1  # a quick look, without idle workers

A server with a real service is a process, a client with the real client's class another one.
Small calls are a worker's sign of life; large ones fetch an array, and hand one in. Processor time
is that of a whole process, and counts more than the clock where other things run on the machine.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from stubs import DESCRIPTION, PATIENCE, free_port

from stillhouse.data.wire import pack
from stillhouse.kernels import KernelSpec, fc
from stillhouse.launch.engines.grpc_client import GrpcServer
from stillhouse.launch.engines.grpc_server import SERVICE, STREAM, TOKEN_KEY, serve_grpc
from stillhouse.launch.engines.messages import decode, encode
from stillhouse.launch.engines.waiting import MOST_SECONDS
from stillhouse.methods.programs import KernelGram
from stillhouse.methods.tasks import Task
from stillhouse.server.blobs import BlobStore
from stillhouse.server.pool import WorkerPool
from stillhouse.server.scheduler import Scheduler
from stillhouse.server.service import Service
from stillhouse.workers.registration import registration

TOKEN = "the-token-of-a-benchmark"
IMAGES = (1024, 32, 32, 3)  # 12 MB, and as many bytes as a result
CALLS = ("small", "down", "up")
IDLE_PROCESSES = 5
_TICK = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("role", choices=("compare", "server", "client", "idle"), nargs="?")
    parser.add_argument("words", nargs="*", help="for the processes of the comparison")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--threads", type=int, default=4, help="that call at once")
    parser.add_argument("--calls", nargs="+", choices=CALLS, default=CALLS, help="of which sorts")
    parser.add_argument("--idle", type=int, default=5000, help="workers with nothing to do")
    parser.add_argument("--watch", type=float, default=130.0, help="seconds for which these idle")
    parser.add_argument("--write", type=Path, help="folder for transports.md")
    options = parser.parse_args()
    if options.role == "server":
        serve(*options.words)
    elif options.role == "client":
        print(json.dumps(call(options, *options.words)))
    elif options.role == "idle":
        asyncio.run(wait_idly(*map(int, options.words)))
    else:
        lines = report(options)
        print("\n".join(lines))
        if options.write:
            (options.write / "transports.md").write_text("\n".join(lines) + "\n")


def serve(transport: str, port: str, tasks: str) -> None:
    """Serve tasks that nobody computes until standard input ends."""
    rng = np.random.default_rng(0)
    image = rng.normal(size=IMAGES).astype(np.float32)
    work = [Task(KernelGram(KernelSpec(fc(1))), (image,))] * int(tasks)
    with WorkerPool(Scheduler(time.monotonic), BlobStore()) as pool:
        service = Service(pool, DESCRIPTION)
        threading.Thread(target=lambda: list(pool.results(work)), daemon=True).start()
        with listening(transport, service, int(port)):
            print("ready", flush=True)
            sys.stdin.read()
        os._exit(0)  # Tasks are waited for still.


def listening(transport: str, service: Service, port: int):
    if transport == "grpc":
        return serve_grpc(service, f"localhost:{port}", token=TOKEN)
    from stillhouse.launch.engines.courier_server import serve_courier

    return serve_courier(service, port)


def connect(transport: str, port: int):
    if transport == "grpc":
        os.environ["STILLHOUSE_TOKEN"] = TOKEN
        return GrpcServer(f"localhost:{port}", timeout=60)
    from stillhouse.launch.engines.courier_client import CourierServer

    return CourierServer(f"localhost:{port}", timeout=60)


def call(options: argparse.Namespace, transport: str, port: str, kind: str, server_pid: str):
    """Call for some seconds from some threads, and return calls, and seconds of all sorts."""
    server = connect(transport, int(port))
    worker = server.register(registration("cpu", 1, "xla"))["worker"]
    (task,) = server.lease(worker, 1)["tasks"]
    result = [pack(np.zeros(IMAGES, np.float32))]

    def once() -> None:
        if kind == "small":
            answer = server.heartbeat(worker, [task["id"]], {})
        elif kind == "down":
            answer = server.fetch(worker, task["shared"])
        else:  # Of no use to the server, which reads it all the same.
            answer = server.complete(worker, "t0", result, 1.0, 0)
        assert answer["status"] == "ok", answer

    once()
    count, ends = [0] * options.threads, time.monotonic() + options.seconds

    def go_on(index: int) -> None:
        while time.monotonic() < ends:
            once()
            count[index] += 1

    threads = [threading.Thread(target=go_on, args=(i,)) for i in range(options.threads)]
    before, processor, begun = processor_of(int(server_pid)), time.process_time(), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "calls": sum(count),
        "seconds": time.monotonic() - begun,
        "server": processor_of(int(server_pid)) - before,
        "client": time.process_time() - processor,
    }


def processor_of(pid: int) -> float:
    """Return the processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


@contextlib.contextmanager
def server_of(transport: str, tasks: int):
    port = free_port()
    command = [sys.executable, __file__, "server", transport, str(port), str(tasks)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n", "no server"
        yield process.pid, port
    finally:
        process.kill()
        process.communicate()


def measure(transport: str, kind: str, options: argparse.Namespace) -> dict[str, float]:
    with server_of(transport, 8) as (pid, port):
        flags = [f"--seconds={options.seconds}", f"--threads={options.threads}"]
        command = [sys.executable, __file__, "client", transport, str(port), kind, str(pid), *flags]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=PATIENCE)
        return json.loads(done.stdout)


async def wait_idly(port: int, workers: int, seconds: int) -> None:
    """Be so many idle workers, each with a connection of its own."""
    import grpc

    metadata = ((TOKEN_KEY, f"Bearer {TOKEN}"),)
    options = (("grpc.use_local_subchannel_pool", 1),)
    ends, ready, door = time.monotonic() + seconds, [0], asyncio.Semaphore(20)

    async def be_idle() -> None:
        async with grpc.aio.insecure_channel(f"localhost:{port}", options) as channel:
            register = channel.unary_unary(f"/{SERVICE}/register")
            info = encode([registration("cpu", 1, "xla")])
            async with door:
                answer = decode(await register(info, metadata=metadata), items=100)
            ready[0] += 1
            if ready[0] == workers:
                print("ready", flush=True)
            stream = channel.stream_stream(STREAM)(metadata=metadata)
            while time.monotonic() < ends:
                await stream.write(encode([[0, "lease", [answer["worker"], 2, MOST_SECONDS]]]))
                ((_, said),) = decode(await stream.read(), items=100)
                assert said["status"] == "ok" and not said["tasks"], said

    waiting = [asyncio.create_task(be_idle()) for _ in range(workers)]
    with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.gather(*waiting), seconds)


def idle(options: argparse.Namespace) -> float:
    """Return the share of a core that idle workers cost their server."""
    with server_of("grpc", 0) as (pid, port):
        share = options.idle // IDLE_PROCESSES
        command = [sys.executable, __file__, "idle", str(port), str(share), str(PATIENCE)]
        processes = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            for _ in range(IDLE_PROCESSES)
        ]
        try:
            for process in processes:
                assert process.stdout.readline() == "ready\n", "not all workers came"
            time.sleep(1)
            before, begun = processor_of(pid), time.monotonic()
            time.sleep(options.watch)
            return (processor_of(pid) - before) / (time.monotonic() - begun)
        finally:
            for process in processes:
                process.kill()
                process.communicate()


def report(options: argparse.Namespace) -> list[str]:
    """Return the table, as Markdown."""
    transports = ("grpc", "courier") if sys.version_info < (3, 11) else ("grpc",)
    found = {kind: {t: measure(t, kind, options) for t in transports} for kind in options.calls}
    megabytes = np.prod(IMAGES) * 4 / 1e6
    lines = [
        "# What carries calls: gRPC and Courier",
        "",
        f"By `python benchmarks/transports.py`, on {os.cpu_count()} cores of {platform.machine()}, "
        f"Python {platform.python_version()}: one server, {options.threads} threads that call it "
        f"from another process for {options.seconds:g} s, over loopback, unencrypted. Large calls "
        f"carry {megabytes:.1f} MB. Processor times are those of whole processes, and grow with "
        f"what else runs on the machine: its load was {os.getloadavg()[0]:.0f}.",
        "",
        "| call | by | calls/s | MB/s | server's processor | client's processor |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    names = {"small": "sign of life", "down": "fetch an array", "up": "hand in an array"}
    for kind, by in found.items():
        for transport, values in by.items():
            calls, seconds = values["calls"], values["seconds"]
            rate = "-" if kind == "small" else f"{calls * megabytes / seconds:,.0f}"
            costs = [f"{values[side] / calls * 1e6:,.0f} us" for side in ("server", "client")]
            name = {"grpc": "gRPC", "courier": "Courier"}[transport]
            cells = [names[kind], name, f"{calls / seconds:,.0f}", rate, *costs]
            lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "Courier is C++ up to the method that is called, gRPC is Python's from its event loop on. "
        "Signs of life, tasks and small results share one call that stays open, and messages where "
        "several come at once; arrays are calls of their own, so that no sign of life waits behind "
        "one, and are fetched in pieces that stay in the cache while they are copied. A worker "
        "with nothing to do makes no calls by gRPC, and up to fifty a second by Courier.",
    ]
    if options.idle:
        lines += [
            "",
            f"{options.idle:,} idle workers, each with a connection of its own, that wait for "
            f"tasks in calls by gRPC cost the server {idle(options):.1%} of a core.",
        ]
    return lines


if __name__ == "__main__":
    main()
