"""Callers of all bad sorts: the server answers on, and forgets them."""

import contextlib
import random
import socket
import threading
import time
from pathlib import Path

import grpc
import pytest

import stillhouse
from stillhouse.launch.engines import grpc_server
from stillhouse.launch.engines.grpc_client import GrpcServer
from stillhouse.launch.engines.grpc_server import (
    PLAIN_METHODS,
    SERVICE,
    STREAM,
    TOKEN_KEY,
    serve_grpc,
)
from stillhouse.server.blobs import BlobStore
from stillhouse.server.pool import WorkerPool
from stillhouse.server.scheduler import Scheduler
from stillhouse.server.service import Service
from stillhouse.workers.registration import registration

TOKEN = "the-token-of-these-tests"
RUN = {"version": stillhouse.__version__, "config_hash": "", "backend": "xla", "summary": "a run"}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@pytest.fixture
def address(port, monkeypatch):
    monkeypatch.setenv("STILLHOUSE_TOKEN", TOKEN)
    with WorkerPool(Scheduler(time.monotonic), BlobStore()) as pool:
        with serve_grpc(Service(pool, RUN), f"localhost:{port}", token=TOKEN):
            yield f"localhost:{port}"


@pytest.fixture
def answers(address):
    """Check that the server answers a worker."""
    with contextlib.closing(GrpcServer(address, timeout=30)) as client:
        worker = client.register(registration("cpu", 1, None))["worker"]

        def check():
            assert client.heartbeat(worker, ["t"], {})["status"] == "ok"

        check()
        yield check
        check()


@pytest.fixture
def connect(port):
    """Open connections; all of them are closed at the end."""
    with contextlib.ExitStack() as stack:

        def start():
            return stack.enter_context(socket.create_connection(("localhost", port), 30))

        yield start


def test_two_thousand_malformed_messages(address, answers):
    rng = random.Random(0)
    good = b"\x93\xa2w1\x91\xa1t\x80"
    threads = threading.active_count()
    with grpc.insecure_channel(address) as channel:
        for number in range(2000):
            data = bytearray(good) * rng.randrange(1, 4)
            for _ in range(rng.randrange(1, 6)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            # Those with a token reach the messages, the others nothing.
            token = TOKEN if number % 4 else "no-token-of-this-run"
            name = rng.choice([*PLAIN_METHODS, "fetch", "none"])
            call = channel.unary_unary(f"/{SERVICE}/{name}")
            with contextlib.suppress(grpc.RpcError):
                call(bytes(data), timeout=30, metadata=((TOKEN_KEY, f"Bearer {token}"),))
            if number % 500 == 0:
                answers()
    answers()
    # No thread stays behind for what came, but for the few that take what is long.
    assert threading.active_count() <= threads + 8


def test_malformed_messages_in_a_stream(address, answers):
    rng = random.Random(2)
    good = b"\x91\x93\x01\xa9heartbeat\x93\xa2w1\x91\xa1t\x80"
    with grpc.insecure_channel(address) as channel:
        for number in range(200):
            data = bytearray(good)
            for _ in range(rng.randrange(1, 4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            token = TOKEN if number % 4 else "no-token-of-this-run"
            call = channel.stream_stream(STREAM)
            # The second is whole: it is answered, or the stream has ended before.
            stream = call(iter([bytes(data), good]), timeout=30,
                          metadata=((TOKEN_KEY, f"Bearer {token}"),))  # fmt: skip
            with contextlib.suppress(grpc.RpcError):
                assert len(list(stream)) <= 2
    answers()


def test_a_stranger_s_message_is_not_read(address, answers):
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/{SERVICE}/complete")
        before = memory()
        for _ in range(3):
            with pytest.raises(grpc.RpcError) as caught:
                call(bytes(64 * 2**20), timeout=30)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    # The client itself holds each once.
    assert memory() - before < 150 * 2**20
    answers()


def memory():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_bytes_that_are_no_http(connect, answers):
    rng = random.Random(1)
    for number in range(200):
        connection = connect()
        with contextlib.suppress(OSError):
            begin = PREFACE + SETTINGS if number % 2 else b""
            connection.sendall(begin + rng.randbytes(rng.randrange(1, 300)))
        if number % 3:
            connection.close()
    answers()


def test_a_thousand_open_connections_slow_ones_and_half_open_ones(connect, answers):
    opened = []
    for number in range(1000):
        connection = connect()
        # A third says nothing, a third stops in the middle, a third has begun well.
        connection.sendall((b"", PREFACE[:9], PREFACE + SETTINGS)[number % 3])
        opened.append(connection)
    answers()
    for byte in PREFACE:  # One byte at a time.
        opened[0].sendall(bytes([byte]))
    answers()
    for connection in opened[::2]:
        connection.close()
    answers()


def test_who_never_says_hello_is_let_go(port, monkeypatch):
    options = dict(grpc_server._OPTIONS) | {"grpc.server_handshake_timeout_ms": 300}
    monkeypatch.setattr(grpc_server, "_OPTIONS", tuple(options.items()))
    with WorkerPool(Scheduler(time.monotonic), BlobStore()) as pool:
        with serve_grpc(Service(pool, RUN), f"localhost:{port}", token=TOKEN):
            with socket.create_connection(("localhost", port), 30) as connection:
                connection.sendall(PREFACE[:5])
                while connection.recv(100):
                    pass


def test_a_caller_by_courier_is_told_what_to_do(address):
    pytest.importorskip("courier", reason="needs Courier, which is for Python 3.10")
    from stillhouse.launch.engines.courier_client import CourierServer
    from stillhouse.workers.connection import Refused

    with pytest.raises(Refused, match="speaks gRPC: give --transport=grpc"):
        CourierServer(address).status()


def test_a_caller_by_grpc_of_a_server_by_courier_is_told_what_to_do(port, monkeypatch):
    pytest.importorskip("courier", reason="needs Courier, which is for Python 3.10")
    import builtins

    from stillhouse.launch.engines.courier_server import serve_courier
    from stillhouse.workers.connection import Refused

    monkeypatch.setattr(builtins, "__import__", builtins.__import__)
    with WorkerPool(Scheduler(time.monotonic), BlobStore()) as pool:
        with serve_courier(Service(pool, RUN), port):
            with contextlib.closing(GrpcServer(f"localhost:{port}")) as client:
                with pytest.raises(Refused, match="one of --transport=courier wants the same"):
                    client.status()
