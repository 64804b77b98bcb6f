import builtins
import inspect
import subprocess
import sys
import textwrap
import time

import pytest

from stillhouse.launch.engines.courier_client import CourierServer
from stillhouse.workers.connection import Refused, Server, ServerGone

PATIENCE = 60

# Says what it was asked, as a server's answers do.
_SERVER = """
    import sys, time, courier

    server = courier.Server("test", port=int(sys.argv[1]))

    def slow(*arguments):
        time.sleep(30)

    def broken(*arguments):
        raise KeyError("a mistake")

    for name in ("register", "lease", "fetch", "complete", "fail", "heartbeat"):
        def method(*arguments, name=name):
            return {"status": "ok", "asked": [name, *arguments]}
        server.Bind(name, method)
    for name in sys.argv[2:]:
        name, _, how = name.partition("=")
        server.Bind(name, {"slow": slow, "broken": broken, "three": lambda *a: 3}[how])
    server.Start()
    print("ready", flush=True)
    sys.stdin.read()
    server.Stop()
"""


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    pytest.importorskip("courier", reason="Courier is not installed")
    monkeypatch.setattr(builtins, "__import__", builtins.__import__)


@pytest.fixture
def serve():
    """Start a server at a port, in a process of its own."""
    started = []

    def start(port, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_SERVER), str(port), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=PATIENCE)


def test_every_method_carries_its_arguments(serve, port):
    serve(port)
    server = CourierServer(f"localhost:{port}")
    big = bytes(range(256)) * 40_000
    for method, arguments in {
        "register": ({"version": "1", "pid": 3, "threads": None},),
        "lease": ("w", 2),
        "fetch": ("w", ["a", "b"]),
        "complete": ("w", "t", [big, b""], 0.5, 1),
        "fail": ("w", "t", "value", "ä\nb"),
        "heartbeat": ("w", [], {"elements": 10**12, "rate": 1e-9}),
    }.items():
        answer = getattr(server, method)(*arguments)
        assert answer == {"status": "ok", "asked": [method, *arguments]}


def test_it_has_the_methods_of_a_server():
    for name, function in inspect.getmembers(Server, inspect.isfunction):
        if not name.startswith("_"):
            found = inspect.signature(getattr(CourierServer, name))
            assert found == inspect.signature(function), name


@pytest.mark.parametrize("host", ["localhost", "no-such-host.invalid"])
def test_where_nobody_listens_the_server_is_gone_at_once(port, host):
    begun = time.monotonic()
    with pytest.raises(ServerGone, match=f"no answer from the server at {host}:{port} "):
        CourierServer(f"{host}:{port}").lease("w", 1)
    assert time.monotonic() - begun < 10


def test_a_server_that_hangs_is_gone_after_the_timeout(serve, port):
    serve(port, "leave=slow")
    begun = time.monotonic()
    with pytest.raises(ServerGone, match="Deadline Exceeded"):
        CourierServer(f"localhost:{port}", timeout=0.3).leave("w")
    assert time.monotonic() - begun < 10


def test_a_server_that_was_killed_and_restarted_is_found_again(serve, port):
    first = serve(port)
    server = CourierServer(f"localhost:{port}")
    assert server.lease("w", 1)["status"] == "ok"
    first.kill()
    first.wait(PATIENCE)
    with pytest.raises(ServerGone):
        server.lease("w", 1)
    serve(port)
    ends = time.monotonic() + PATIENCE
    while True:
        try:
            assert server.lease("w", 1)["status"] == "ok"
            return
        except ServerGone:
            assert time.monotonic() < ends
            time.sleep(0.1)


def test_another_server_is_told_apart(serve, port):
    serve(port, "leave=three", "status=broken")
    server = CourierServer(f"localhost:{port}")
    with pytest.raises(Refused, match=f"localhost:{port} is no stillhouse server .*answers 3"):
        server.leave("w")
    with pytest.raises(Refused, match="failed .*KeyError: 'a mistake'"):
        server.status()


def test_a_server_without_the_method_is_told_apart(serve, port):
    serve(port)
    with pytest.raises(Refused, match="is no stillhouse server .*leave not found"):
        CourierServer(f"localhost:{port}").leave("w")


@pytest.mark.parametrize("address", ["", "node1", "node1:", ":18400", "node1:x", "node1:99999"])
def test_a_wrong_address_is_named(address):
    with pytest.raises(ValueError, match="`--server` must be host:port"):
        CourierServer(address)


def test_courier_is_imported_for_a_client_only():
    program = (
        "import sys; from stillhouse.launch.engines import courier_client as c;"
        "assert 'courier' not in sys.modules; c.CourierServer('localhost:1');"
        "assert 'courier' in sys.modules and 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE)
