"""Certificates, the right ones and all sorts of wrong ones."""

import contextlib
import datetime

import pytest
import trustme

from stillhouse.launch.engines.grpc_client import GrpcServer
from stillhouse.launch.engines.grpc_server import serve_grpc
from stillhouse.launch.engines.tls import Tls
from stillhouse.server.blobs import BlobStore
from stillhouse.server.pool import WorkerPool
from stillhouse.server.scheduler import Scheduler
from stillhouse.server.service import Service
from stillhouse.workers.connection import Refused

TOKEN = "the-token-of-these-tests"
RUN = {"version": "1", "config_hash": "", "backend": "xla", "summary": "a run"}


class Files:
    """An authority, and certificates that it signs, as files."""

    def __init__(self, folder):
        folder.mkdir()
        self._ca, self._folder = trustme.CA(), folder
        self.authority = str(folder / "authority.pem")
        self._ca.cert_pem.write_to_path(self.authority)

    def issue(self, name, **options):
        """The files of a certificate for a host, and of its key."""
        made = self._ca.issue_cert(name, **options)
        certificate = self._folder / f"{name}-{len([*self._folder.iterdir()])}.pem"
        key = certificate.with_suffix(".key")
        for blob in made.cert_chain_pems:
            blob.write_to_path(certificate, append=True)
        made.private_key_pem.write_to_path(key)
        return {"certificate": str(certificate), "key": str(key)}

    def expired(self, name):
        return self.issue(name, not_after=datetime.datetime(2020, 1, 1))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return Files(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    return Files(tmp_path_factory.mktemp("tls") / "foreign")


@pytest.fixture
def serve(port):
    """Serve with these files, or with none."""
    with contextlib.ExitStack() as stack:

        def start(tls):
            pool = stack.enter_context(WorkerPool(Scheduler(lambda: 0.0), BlobStore()))
            address = f"localhost:{port}"
            stack.enter_context(serve_grpc(Service(pool, RUN), address, token=TOKEN, tls=tls))

        yield start


@pytest.fixture
def ask(port, monkeypatch):
    """What a client with these files gets as an answer."""
    monkeypatch.setenv("STILLHOUSE_TOKEN", TOKEN)

    def status(tls):
        with contextlib.closing(GrpcServer(f"localhost:{port}", tls=tls, timeout=10)) as client:
            return client.status()["status"]

    return status


def test_an_encrypted_server(serve, ask, files):
    serve(Tls(**files.issue("localhost")))
    assert ask(Tls(authority=files.authority)) == "ok"


def test_both_sides_have_certificates(serve, ask, files):
    serve(Tls(**files.issue("localhost"), authority=files.authority))
    assert ask(Tls(**files.issue("worker.cluster"), authority=files.authority)) == "ok"


def test_a_run_of_commands_that_all_have_certificates(
    processes, files, spots, port, eventually, stillhouse, locally, bits, tmp_path
):
    problem = (f"--dataset={spots}", "--architecture=fc", "--depth=1", "--steps=3")

    def flags(name):
        own = files.issue(name)
        return (f"--tls_certificate={own['certificate']}", f"--tls_key={own['key']}",
                f"--tls_authority={files.authority}")  # fmt: skip

    address = f"localhost:{port}"
    server = processes.start(
        "serve", *problem, f"--address={address}", *flags("localhost"), "--out=run"
    )
    token = tmp_path / "run" / "token"
    eventually(token.exists, "a token", command=server)
    calls = (f"--server={address}", f"--token_file={token}", *flags("node1"))
    eventually(lambda: stillhouse("status", *calls).code == 0, "an answer", command=server)
    stranger = stillhouse("status", *calls[:2], f"--tls_authority={files.authority}")
    assert stranger.code == 2 and "a certificate" in stranger.err
    worker = processes.start("worker", *calls, "--threads=1")
    assert server.wait() == 0, server.said
    assert worker.wait() == 0, worker.said
    assert bits(tmp_path / "run") == locally(problem)


def refused(ask, tls, reason):
    with pytest.raises(Refused, match=reason) as caught:
        ask(tls)
    assert "\n" not in str(caught.value)


def test_who_serves_with_a_foreign_expired_or_other_certificate_is_refused(
    serve, ask, files, foreign, monkeypatch
):
    # Or it would not begin; but it may have begun long ago.
    monkeypatch.setattr(Tls, "_check_dates", lambda tls: None)
    serve(Tls(**files.expired("localhost")))
    refused(ask, Tls(authority=foreign.authority), "its certificate is refused: ")
    refused(ask, Tls(authority=files.authority), "its certificate is refused: .*expired")


def test_who_serves_under_another_name_is_refused(serve, ask, files):
    serve(Tls(**files.issue("node7")))
    refused(ask, Tls(authority=files.authority), "refused: .*[Hh]ostname mismatch")


def test_who_calls_with_a_foreign_expired_or_no_certificate_is_refused(
    serve, ask, files, foreign, monkeypatch
):
    monkeypatch.setattr(Tls, "_check_dates", lambda tls: None)
    serve(Tls(**files.issue("localhost"), authority=files.authority))
    ours = "it refuses our certificate|it wants a certificate of ours"
    refused(ask, Tls(authority=files.authority), ours)
    refused(ask, Tls(**foreign.issue("worker"), authority=files.authority), ours)
    refused(ask, Tls(**files.expired("worker"), authority=files.authority), ours)
    # And goes on for all others.
    assert ask(Tls(**files.issue("worker"), authority=files.authority)) == "ok"


def test_with_tls_on_one_side_only_it_says_on_which(serve, ask, files):
    serve(Tls(**files.issue("localhost")))
    refused(ask, None, "it wants TLS: give --tls_authority")


def test_without_tls_at_the_server(serve, ask, files):
    serve(None)
    refused(ask, Tls(authority=files.authority), "it speaks no TLS: leave --tls_authority out")


@pytest.mark.parametrize("server", [True, False])
def test_files_that_are_of_no_use_are_named(files, foreign, tmp_path, server):
    good = files.issue("localhost")
    (tmp_path / "text").write_text("no certificate")
    text, missing = str(tmp_path / "text"), str(tmp_path / "missing")
    for changes, words in (
        ({"certificate": missing}, f"`--tls_certificate`: {missing}: No such file"),
        ({"key": missing}, f"`--tls_key`: {missing}: No such file"),
        ({"authority": missing}, f"`--tls_authority`: {missing}: No such file"),
        ({"authority": text}, "holds no certificate in PEM"),
        ({"certificate": text}, "are no certificate and its private key"),
        ({"key": foreign.issue("localhost")["key"]}, "are no certificate and its private key"),
        ({"key": None}, "belong together"),
        (files.expired("localhost"), "`--tls_certificate`: .* has expired"),
        ({"certificate": None}, "belong together"),
    ):
        tls = Tls(**{**good, "authority": files.authority, **changes})
        with pytest.raises(ValueError, match=words):
            tls.check(server=server)


def test_what_belongs_to_one_side_alone(files):
    with pytest.raises(ValueError, match="needs its own: give --tls_certificate"):
        Tls(authority=files.authority).check(server=True)
    with pytest.raises(ValueError, match="needs `--tls_authority` here"):
        Tls(**files.issue("worker")).check(server=False)
