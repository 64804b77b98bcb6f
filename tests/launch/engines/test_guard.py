import builtins
import importlib.util
import os
import subprocess
import sys
import textwrap
import threading

import pytest

from stillhouse.launch.engines import guard

PATIENCE = 60
courier_is_here = pytest.mark.skipif(
    importlib.util.find_spec("courier") is None, reason="Courier is not installed"
)

# Prints its port, serves until its input ends, and takes whatever object it is sent.
_SERVER = """
    import sys, courier
    from stillhouse.launch.engines.guard import answering, install
    if "guard" in sys.argv:
        install()
        install()

    def lazily():
        import wave
        return "wave" in sys.modules

    class Attack:
        def __reduce__(self):
            import os
            return os.mkdir, (sys.argv[2],)

    server = courier.Server("test", port=int(sys.argv[1]))
    server.Bind("echo", answering(lambda value: value))
    server.Bind("loaded", lambda name: name in sys.modules)
    server.Bind("lazily", lazily)
    server.Bind("attack", Attack)
    server.Bind("broken", answering(lambda: 1 / 0))
    server.Start()
    print("ready", flush=True)
    sys.stdin.read()
    server.Stop()
"""


class RunsCommand:
    """An object that on its arrival runs a command of ours."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


class ImportsModule:
    """An object whose arrival imports a module that nobody has imported."""

    def __reduce__(self):
        import colorsys

        return colorsys.rgb_to_hls, (0.1, 0.2, 0.3)


@pytest.fixture
def restored(monkeypatch):
    monkeypatch.setattr(builtins, "__import__", builtins.__import__)


@pytest.fixture
def client_of(port, tmp_path, restored):
    """Start a server in a process of its own, and connect to it as an attacker would."""
    import courier

    started = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_SERVER), str(port), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        client = courier.Client(f"localhost:{port}", wait_for_ready=False, call_timeout=PATIENCE)
        client.process = process
        return client

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=PATIENCE)


@courier_is_here
def test_without_the_guard_the_attacks_succeed(client_of, tmp_path):
    # Or the next test would prove nothing.
    client = client_of(tmp_path / "from server")
    client.echo(RunsCommand(f"touch '{tmp_path / 'owned'}'"))
    assert (tmp_path / "owned").exists()
    assert not client.loaded("colorsys")
    client.echo(ImportsModule())
    assert client.loaded("colorsys")


@courier_is_here
def test_the_guard_stops_the_attacks_and_the_server_lives(client_of, tmp_path):
    client = client_of(tmp_path / "from server", "guard")
    attacks = [
        RunsCommand(f"touch '{tmp_path / 'owned'}'"),
        ImportsModule(),
        [1, {"deep": (ImportsModule(),)}],
        ImportsModule,
        os.system,
    ]
    for attack in attacks:
        with pytest.raises(Exception, match="ToUtilStatus|refused"):
            client.echo(attack)
    assert not (tmp_path / "owned").exists()
    assert client.loaded("colorsys") is False
    assert client.process.poll() is None


@courier_is_here
def test_the_guard_lets_through_what_we_send(client_of, tmp_path):
    client = client_of(tmp_path / "from server", "guard")
    for value in (None, True, 7, -1.5, "text", b"\x00\xff" * 1000, [1, [b"x"]], {"a": {"b": []}}):
        assert client.echo(value) == value
    assert client.lazily() is True


@courier_is_here
def test_a_guarded_server_outlives_errors_and_wrong_calls(client_of, tmp_path):
    client = client_of(tmp_path / "from server", "guard")
    assert client.broken() == {
        "status": "refused",
        "reason": "ZeroDivisionError: division by zero",
    }
    for arguments, keywords in [((), {}), ((1, 2, 3), {}), ((1,), {"value": 2}), ((), {"x": 1})]:
        answer = client.echo(*arguments, **keywords)
        assert answer["status"] == "refused"
        assert answer["reason"].startswith("TypeError: ")
    with pytest.raises(Exception, match="not found"):
        client.no_such_method()
    with pytest.raises(Exception, match="ToUtilStatus"):
        client.attack()  # It cannot send what it would import.
    assert client.echo(1) == 1


@courier_is_here
def test_a_client_is_not_attacked_by_its_server(client_of, tmp_path):
    client = client_of(tmp_path / "owned")
    guard.install()
    with guard.data_only(), pytest.raises(ImportError, match="refused to import"):
        client.attack()
    assert not (tmp_path / "owned").exists()
    with guard.data_only():
        assert client.echo({"status": "ok"}) == {"status": "ok"}
    client.attack()  # It is one: Courier itself lets it through.
    assert (tmp_path / "owned").exists()


def test_installed_twice_it_guards_once(restored):
    guard.install()
    first = builtins.__import__
    guard.install()
    assert builtins.__import__ is first


def test_imports_go_on_as_before(restored):
    guard.install()
    sys.modules.pop("colorsys", None)
    import colorsys

    assert colorsys.rgb_to_hls
    found = []
    thread = threading.Thread(target=lambda: found.append(__import__("os.path").path))
    thread.start()
    thread.join(PATIENCE)
    assert found == [os.path]
    with pytest.raises(ModuleNotFoundError):
        import no_such_module  # noqa: F401


def test_data_only_holds_for_its_thread_while_it_lasts(restored):
    guard.install()
    found = []
    with guard.data_only():
        with pytest.raises(ImportError, match="refused to import 'os'"):
            __import__("os")
        thread = threading.Thread(target=lambda: found.append(__import__("os")))
        thread.start()
        thread.join(PATIENCE)
    assert found == [os]
    assert __import__("os") is os


@pytest.mark.parametrize(
    ("version", "remedy"),
    [
        ((3, 10, 4), r"pip install 'stillhouse\[launchpad\]'$"),
        ((3, 11, 0), "for Python 3.10 only, and this is 3.11; use Python 3.10, or distill with"),
        ((3, 13, 1), "and this is 3.13; .* --engine=ray or --engine=local$"),
    ],
)
def test_a_missing_courier_is_one_clear_line(monkeypatch, version, remedy):
    monkeypatch.setitem(sys.modules, "courier", None)
    major, minor, micro = version

    class Version(tuple):
        major, minor, micro = version

    monkeypatch.setattr(guard.sys, "version_info", Version(version))
    with pytest.raises(ValueError, match=remedy) as caught:
        guard.import_courier()
    assert "\n" not in str(caught.value)
