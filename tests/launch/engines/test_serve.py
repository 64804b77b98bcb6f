"""`stillhouse serve` as a process, and what ends it."""

import json
import signal
import socket
import urllib.request

import pytest

RUN = ("--architecture=fc", "--depth=1", "--checkpoint_every=50", "--eval_every=0")


@pytest.fixture
def run(spots, listens):
    return (*listens, f"--dataset={spots}", *RUN, "--out=run")


@pytest.fixture
def server_of(processes, run):
    def start(*arguments):
        return processes.start("serve", *run, "--heartbeat=0.5", *arguments)

    return start


@pytest.fixture
def worker_of(processes, calls):
    return lambda: processes.start("worker", *calls, "--threads=1")


@pytest.fixture
def status(stillhouse, calls):
    """What the server says of the run; None while it does not answer."""

    def ask():
        result = stillhouse("status", *calls, "--json")
        return json.loads(result.out) if result.code == 0 else None

    return ask


@pytest.mark.parametrize("transport", ["grpc", "courier"], indirect=True)
def test_a_port_that_is_taken_is_refused_before_any_work(refused, run, port):
    with socket.socket() as listener:
        listener.bind(("", port))
        listener.listen()
        line = refused("serve", *run)
    assert f"port {port}" in line and "another --address" in line


def test_an_address_that_is_none_is_refused(refused, run):
    for address in ("18400", "localhost:", "localhost:-1", "localhost:65536", ":18400"):
        assert "`--address` must be host:port" in refused("serve", *run, f"--address={address}")


@pytest.mark.parametrize("transport", ["grpc", "courier"], indirect=True)
def test_where_nobody_serves_status_is_one_line(refused, calls, port):
    line = refused("status", *calls)
    assert f"no answer from the server at localhost:{port}" in line


def test_files_of_no_use_are_refused_before_any_work(refused, run, transport, tmp_path):
    assert "`--tls_certificate`: none: No such file" in refused(
        "serve", *run, "--tls_certificate=none", "--tls_key=none"
    )
    assert "belong together" in refused("serve", *run, "--tls_key=none")
    assert "no token can be made in" in refused("serve", *run, "--token_file=none/token")
    (tmp_path / "short").write_text("short")
    assert "short holds no token" in refused("serve", *run, "--token_file=short")
    courier = ("--transport=courier", "--token_file=short")
    assert "has no meaning with --transport=courier" in refused("serve", *run, *courier)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_without_a_worker_it_waits_and_a_signal_ends_it(
    server_of, status, eventually, number, code
):
    server = server_of("--steps=3")
    answer = eventually(status, "answering", command=server)
    assert (answer["state"], answer["step"], answer["workers"]) == ("running", 0, [])
    server.send(number)
    assert server.wait(20) == code
    assert "Traceback" not in server.said


def test_stopped_and_started_again_it_goes_on_with_the_same_workers(
    server_of, worker_of, status, wait_for_step, processes, locally, bits, spots, tmp_path
):
    problem = (f"--dataset={spots}", *RUN, "--steps=400")
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        metrics = listener.getsockname()[1]
    server, worker = server_of("--steps=400", f"--metrics_port={metrics}"), worker_of()
    wait_for_step(server, tmp_path / "run", 20)
    with urllib.request.urlopen(f"http://localhost:{metrics}/metrics", timeout=30) as answer:
        page = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines())
    assert float(page["stillhouse_step"]) > 0 and float(page["stillhouse_tasks_done_total"]) > 0
    assert float(page['stillhouse_work_total{unit="kernel elements"}']) > 0
    (told,) = status()["workers"]
    assert told["pid"] == worker.pid and told["device"] == "cpu" and told["attempts"] > 0
    server.send(signal.SIGTERM)
    assert server.wait(30) == 143
    last = server.said.strip().splitlines()[-1]
    assert "stopped after step" in last and "the same command goes on from there" in last
    assert worker.process.poll() is None
    server = server_of("--steps=400")
    assert server.wait() == 0, server.said
    assert worker.wait(20) == 0, worker.said
    assert "going on after step" in server.said
    assert bits(tmp_path / "run") == locally(problem)
    # A finished run is not served again.
    again = server_of("--steps=400")
    assert again.wait(60) == 0 and "nothing to do" in again.said
