"""The server's facade over gRPC and the client that calls it, in one process."""

import contextlib
import inspect
import logging
import socket
import subprocess
import sys
import threading
import time

import grpc
import numpy as np
import pytest

import stillhouse
from stillhouse.data.wire import pack
from stillhouse.kernels.architecture import fc
from stillhouse.kernels.spec import KernelSpec
from stillhouse.launch.engines.grpc_client import GrpcServer
from stillhouse.launch.engines.grpc_server import FETCH, TOKEN_KEY, serve_grpc
from stillhouse.launch.engines.messages import encode
from stillhouse.methods.programs import KernelGram
from stillhouse.methods.tasks import Task
from stillhouse.server.blobs import BlobStore
from stillhouse.server.pool import WorkerPool
from stillhouse.server.scheduler import Scheduler
from stillhouse.server.service import Service
from stillhouse.workers.connection import Refused, Server, ServerGone
from stillhouse.workers.registration import registration

PATIENCE = 60
TOKEN = "the-token-of-these-tests"
RUN = {"version": stillhouse.__version__, "config_hash": "", "backend": "xla", "summary": "a run"}
INFO = registration("cpu", 1, None)


def task(seed=0):
    x = np.random.default_rng(seed).normal(size=(4, 3, 3, 1)).astype(np.float32)
    return Task(KernelGram(KernelSpec(fc(1))), (x,))


RESULT = [pack(np.eye(4, dtype=np.float32))]


@pytest.fixture
def pool():
    ends = time.monotonic() + PATIENCE
    scheduler = Scheduler(time.monotonic, heartbeat=1.0)
    with WorkerPool(scheduler, BlobStore(), should_stop=lambda: time.monotonic() > ends) as pool:
        yield pool


@pytest.fixture
def service(pool):
    return Service(pool, RUN)


@pytest.fixture
def served(service, port):
    with serve_grpc(service, f"localhost:{port}", token=TOKEN):
        yield f"localhost:{port}"


@pytest.fixture
def token_file(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    return str(file)


@pytest.fixture
def client_of(token_file):
    """Make clients; all of them end with the test."""
    with contextlib.ExitStack() as stack:

        def make(address, *, token_file=token_file, **options):
            client = GrpcServer(address, token_file=token_file, **options)
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def client(served, client_of):
    return client_of(served)


def computed(pool, tasks):
    """Have tasks computed by whoever comes, in a thread; returns what joins it."""
    found = []
    thread = threading.Thread(target=lambda: found.extend(pool.results(tasks)), daemon=True)
    thread.start()

    def join():
        thread.join(PATIENCE)
        assert not thread.is_alive()
        return found

    return join


def test_it_has_the_methods_of_a_server():
    for name, function in inspect.getmembers(Server, inspect.isfunction):
        if not name.startswith("_"):
            found = inspect.signature(getattr(GrpcServer, name))
            assert found == inspect.signature(function), name


def test_a_task_from_its_lease_to_its_result(pool, client):
    join = computed(pool, [task()])
    joined = client.register(INFO)
    worker = joined["worker"]
    assert joined["status"] == "ok" and joined["run"] == RUN and joined["heartbeat"] == 1.0
    (entry,) = client.lease(worker, 2)["tasks"]
    blobs = client.fetch(worker, entry["shared"])["blobs"]
    assert list(blobs) == entry["shared"] and blobs[entry["shared"][0]] == pack(task().shared[0])
    assert client.heartbeat(worker, [entry["id"]], {"tasks": 0})["revoked"] == []
    answer = client.complete(worker, entry["id"], RESULT, 0.1, 1)
    assert answer["accepted"] == "first" and answer["tasks"] == []
    np.testing.assert_array_equal(join()[0][0], np.eye(4, dtype=np.float32))
    assert client.complete(worker, entry["id"], RESULT, 0.1, 1)["accepted"] == "duplicate"
    status = client.status()
    assert [each["id"] for each in status["workers"]] == [worker]
    assert client.leave(worker)["status"] == "ok" and not pool.live


def test_a_call_for_tasks_waits_until_there_are_some(pool, client):
    worker = client.register(INFO)["worker"]
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(client.lease(worker, 1)), daemon=True)
    waiting.start()
    # For several times as long as a silent worker is believed to live.
    time.sleep(3.0)
    assert waiting.is_alive() and pool.live == 1
    join = computed(pool, [task()])
    waiting.join(PATIENCE)
    (entry,) = answers[0]["tasks"]
    client.complete(worker, entry["id"], RESULT, 0.1, 0)
    assert len(join()) == 1


def test_who_waits_hears_of_the_end_and_of_being_forgotten(pool, client):
    first, second = (client.register(INFO)["worker"] for _ in range(2))
    answers = {}
    threads = [
        threading.Thread(target=lambda w=w: answers.update({w: client.lease(w, 1)}), daemon=True)
        for w in (first, second)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    pool.lose(first, "for a test")
    threads[0].join(PATIENCE)
    assert answers == {first: {"status": "unknown"}}
    pool.close()
    threads[1].join(PATIENCE)
    assert answers[second] == {"status": "stop"}


def test_told_to_stop_a_call_that_waits_comes_back(served, client_of):
    stop = threading.Event()
    client = client_of(served, should_stop=stop.is_set)
    worker = client.register(INFO)["worker"]
    threading.Timer(0.3, stop.set).start()
    begun = time.monotonic()
    assert client.lease(worker, 1)["tasks"] == []
    assert time.monotonic() - begun < PATIENCE / 2


def test_who_waits_gets_what_another_one_gave_back(pool, client):
    join = computed(pool, [task()])
    first, second = (client.register(INFO)["worker"] for _ in range(2))
    (entry,) = client.lease(first, 1)["tasks"]
    threading.Timer(0.3, client.leave, [first]).start()
    (again,) = client.lease(second, 1)["tasks"]
    assert again["id"] == entry["id"]
    client.complete(second, again["id"], RESULT, 0.1, 0)
    assert len(join()) == 1


def test_a_worker_that_was_cut_off_waits_once(pool, served, client_of):
    first, second = client_of(served), client_of(served)
    worker = first.register(INFO)["worker"]
    answers = []
    threads = [
        threading.Thread(target=lambda c=c: answers.append(c.lease(worker, 1)), daemon=True)
        for c in (first, second)
    ]
    threads[0].start()
    time.sleep(0.3)
    threads[1].start()
    threads[0].join(PATIENCE)
    assert [answer["tasks"] for answer in answers] == [[]]
    join = computed(pool, [task()])
    threads[1].join(PATIENCE)
    (entry,) = answers[1]["tasks"]
    second.complete(worker, entry["id"], RESULT, 0.1, 0)
    assert len(join()) == 1


@pytest.mark.parametrize("arguments", [(), (1,), ("w", -1), ("w", 1, 2, 3), ({}, [])])
@pytest.mark.parametrize("method", ["register", "lease", "fetch", "complete", "heartbeat", "leave"])
def test_calls_that_make_no_sense_are_answered(client, method, arguments):
    answer = client._call(method, *arguments)
    assert answer["status"] in ("refused", "unknown", "ok" if method == "leave" else "")


def test_without_a_token_or_with_another_one_is_refused_in_a_line(served, client_of, tmp_path):
    missing = str(tmp_path / "none")
    with pytest.raises(Refused, match=f"wants a token, and there is none in {missing}: give"):
        client_of(served, token_file=missing).register(INFO)
    with pytest.raises(Refused, match="wants a token: give --token_file=FILE"):
        client_of(served, token_file=None).register(INFO)
    (tmp_path / "other").write_text("another-token-than-theirs")
    with pytest.raises(Refused, match=f"another token than {tmp_path / 'other'}"):
        client_of(served, token_file=str(tmp_path / "other")).status()


def test_a_token_that_is_made_later_is_found(served, client_of, tmp_path):
    client = client_of(served, token_file=str(tmp_path / "later"))
    (tmp_path / "later").write_text(TOKEN)
    assert client.status()["status"] == "ok"


def test_the_log_tells_of_refused_callers_but_not_of_each(served, client_of, caplog, monkeypatch):
    caplog.set_level(logging.WARNING, "stillhouse.server")
    client = client_of(served, token_file=None)
    for _ in range(50):
        with pytest.raises(Refused):
            client.status()
    lines = [r.getMessage() for r in caplog.records if "refused a caller" in r.getMessage()]
    assert len(lines) == 1 and lines[0].endswith(": no token") and ":" in lines[0]


@pytest.mark.parametrize("host", ["localhost", "no-such-host.invalid"])
def test_where_nobody_listens_the_server_is_gone_at_once(port, client_of, host):
    begun = time.monotonic()
    with pytest.raises(ServerGone, match=f"no answer from the server at {host}:{port} "):
        client_of(f"{host}:{port}").lease("w", 1)
    assert time.monotonic() - begun < 20


def test_a_server_that_hangs_is_gone_after_the_timeout(service, served, client_of, monkeypatch):
    held = threading.Event()
    monkeypatch.setattr(service._pool, "leave", lambda worker: held.wait(PATIENCE))
    monkeypatch.setattr(service._pool, "renew", lambda worker, tasks: held.wait(PATIENCE))
    try:
        client = client_of(served, timeout=0.3)
        for call in (lambda: client.heartbeat("w", ["t"], {}), lambda: client.leave("w")):
            with pytest.raises(ServerGone, match="Deadline Exceeded"):
                call()
    finally:
        held.set()


def test_a_server_that_was_restarted_is_found_again(service, port, client_of):
    address = f"localhost:{port}"
    client = client_of(address)
    with serve_grpc(service, address, token=TOKEN):
        assert client.status()["status"] == "ok"
    with pytest.raises(ServerGone):
        client.status()
    with serve_grpc(service, address, token=TOKEN):
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                assert client.status()["status"] == "ok"
                return
            except ServerGone:
                assert time.monotonic() < ends
                time.sleep(0.1)


def test_streams_that_are_open_when_the_server_ends_are_no_error(service, port, token_file, caplog):
    stays = f"""
from stillhouse.launch.engines.grpc_client import GrpcServer
clients = [GrpcServer("localhost:{port}", token_file={token_file!r}) for _ in range(5)]
for client in clients:
    client.heartbeat("nobody", [], {{}})
print("open", flush=True)
input()
"""
    with contextlib.ExitStack() as ends:
        with serve_grpc(service, f"localhost:{port}", token=TOKEN):
            client = subprocess.Popen(
                [sys.executable, "-c", stays],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            ends.callback(client.communicate, "\n", timeout=PATIENCE)
            assert client.stdout.readline() == "open\n"
            time.sleep(0.5)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("words", [b"SSH-2.0-x\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_another_server_is_told_apart(client_of, words):
    with socket.create_server(("localhost", 0)) as listener:

        def greet():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.sendall(words)
                    connection.recv(1000)
                    connection.close()

        threading.Thread(target=greet, daemon=True).start()
        port = listener.getsockname()[1]
        with pytest.raises(Refused, match=f"localhost:{port}: it speaks another protocol"):
            client_of(f"localhost:{port}", timeout=5).status()
        listener.shutdown(socket.SHUT_RDWR)


def test_it_listens_at_its_address_alone(service, port):
    with serve_grpc(service, f"127.0.0.1:{port}", token=TOKEN):
        socket.create_connection(("127.0.0.1", port), 5).close()
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.2", port), 5)


@pytest.mark.parametrize(
    ("address", "reason"),
    [("no-such-host.invalid:1", "must name this machine"), ("192.0.2.1:18400", "cannot listen")],
)
def test_an_address_of_another_machine_is_refused(service, address, reason):
    with pytest.raises(ValueError, match=reason), serve_grpc(service, address, token=TOKEN):
        pass


def test_an_address_that_is_taken_is_refused(service, served):
    with pytest.raises(ValueError, match=f"cannot listen at {served}"):
        with serve_grpc(service, served, token=TOKEN):
            pass


def test_grpc_is_imported_for_a_client_only():
    program = (
        "import sys; from stillhouse.launch.engines import transports;"
        "assert not {'grpc', 'courier'} & {*sys.modules};"
        "from stillhouse.launch.engines.grpc_client import GrpcServer; GrpcServer('localhost:1');"
        "assert 'grpc' in sys.modules and 'courier' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE)


def test_who_goes_in_the_middle_of_an_array_is_no_error(pool, client, served, caplog):
    array = np.zeros((64, 256, 256, 1), np.float32)  # 16 MB, which no buffer takes at once.
    join = computed(pool, [Task(KernelGram(KernelSpec(fc(1))), (array,))])
    worker = client.register(INFO)["worker"]
    (entry,) = client.lease(worker, 1)["tasks"]
    with grpc.insecure_channel(served) as channel:
        fetch = channel.unary_stream(FETCH)
        for seconds in (0.0, 0.2):
            request = encode([worker, entry["shared"]])
            answer = fetch(request, metadata=((TOKEN_KEY, f"Bearer {TOKEN}"),))
            assert len(next(answer)) < 200
            time.sleep(seconds)
            answer.cancel()
    assert len(client.fetch(worker, entry["shared"])["blobs"]) == len(entry["shared"])
    client.complete(worker, entry["id"], [pack(np.eye(64, dtype=np.float32))], 0.1, 0)
    assert len(join()) == 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
