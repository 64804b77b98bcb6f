"""A server at the other end of gRPC."""

import concurrent.futures
import logging
import time
from collections.abc import Callable
from typing import Any

from stillhouse.launch.engines.addresses import parse_address
from stillhouse.launch.engines.called_server import CalledServer
from stillhouse.launch.engines.grpc_server import (
    FETCH,
    FRAME_BYTES,
    PLAIN_METHODS,
    SERVICE,
    STREAM,
    STREAM_METHODS,
    TOKEN_KEY,
    import_grpc,
)
from stillhouse.launch.engines.grpc_stream import CallStream
from stillhouse.launch.engines.messages import ANSWER_ITEMS, MessageError, decode, encode
from stillhouse.launch.engines.pieces import LARGE_BYTES, Assembly
from stillhouse.launch.engines.tls import Tls, trouble_at
from stillhouse.launch.engines.tokens import VARIABLE, given_token, read_token
from stillhouse.launch.engines.waiting import MOST_SECONDS
from stillhouse.workers.connection import Answer, Refused, ServerGone

_MOST_BYTES = 2**31 - 1
_LOOK_SECONDS = 0.2
# How often at the most it is looked into why a connection fails.
_PROBE_EVERY_SECONDS = 5.0
_OPTIONS = (
    ("grpc.http2.max_frame_size", FRAME_BYTES),
    ("grpc.max_receive_message_length", _MOST_BYTES),
    ("grpc.max_send_message_length", _MOST_BYTES),
    # A server that is started again is found soon.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # One whose machine has gone is noticed, also while we wait for an answer.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # No proxy of the web's, and no setting that a name server sends along.
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    # Not the connection of another client of this process.
    ("grpc.use_local_subchannel_pool", 1),
)

_LOGGER = logging.getLogger(__name__)


class GrpcServer(CalledServer):
    """A `stillhouse.workers.connection.Server` whose methods are called by gRPC.

    For several threads at once. After the server was restarted at its address the next call reaches
    it. A call for tasks waits at the server until there are some; while it does it is the worker's
    sign of life, and no other is sent.

    Args:
        address: its host and port, such as `node1:18400`.
        timeout: seconds after which a call has failed, beside those that it waits for tasks.
        token_file: the file that holds the token; None for the variable `STILLHOUSE_TOKEN`.
        tls: files for an encrypted connection; None for one that is not.
        should_stop: polled while a call waits for tasks; when true it comes back with none.

    Raises:
        ValueError: if the address is not one, a file is of no use, or gRPC is not installed.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout: float = 20.0,
        token_file: str | None = None,
        tls: Tls | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        parse_address(address, "server")
        self._grpc = import_grpc()
        self.address = address
        self._timeout, self._tls, self._should_stop = timeout, tls, should_stop
        self._token_file, self._token = token_file, _token(token_file)
        if tls is None:
            self._channel = self._grpc.insecure_channel(address, _OPTIONS)
        else:
            self._channel = self._grpc.secure_channel(address, tls.of_client(), _OPTIONS)
        self._calls = {
            name: self._channel.unary_unary(f"/{SERVICE}/{name}") for name in PLAIN_METHODS
        }
        self._fetch = self._channel.unary_stream(FETCH)
        self._stream = CallStream(self._start_stream)
        self._waiting: set[str] = set()
        self._answered = False
        self._probed = -_PROBE_EVERY_SECONDS

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    def lease(self, worker: str, most: int) -> Answer:
        """See `Server.lease`; where there is nothing to do it waits, for minutes at most."""
        self._waiting.add(worker)
        try:
            return self._call("lease", worker, most, MOST_SECONDS)
        finally:
            self._waiting.discard(worker)

    def heartbeat(self, worker: str, tasks: list[str], stats: dict[str, Any]) -> Answer:
        """See `Server.heartbeat`."""
        if not tasks and worker in self._waiting:
            return {"status": "ok", "revoked": []}
        return super().heartbeat(worker, tasks, stats)

    def _call(self, method: str, *arguments: Any) -> Answer:
        try:
            answer = self._ask(method, list(arguments))
        except self._grpc.RpcError as error:
            raise self._in_our_words(error) from error
        except (concurrent.futures.TimeoutError, ConnectionResetError) as error:
            reason = str(error) or "Deadline Exceeded"
            raise ServerGone(f"no answer from the server at {self.address} ({reason})") from error
        except MessageError as error:
            raise Refused(f"{self.address} is no stillhouse server ({error})") from error
        if not isinstance(answer, dict):
            raise Refused(f"{self.address} is no stillhouse server (it answers {answer!r:.80})")
        self._answered = True
        return answer

    def _ask(self, method: str, arguments: list[Any]) -> Any:
        token = self._token
        try:
            return self._send(method, arguments)
        except self._grpc.RpcError as error:
            if error.code() is not self._grpc.StatusCode.UNAUTHENTICATED:
                raise
            # The file may have been made since it was read, or made anew.
            self._token = _token(self._token_file)
            if self._token == token:
                raise
        return self._send(method, arguments)

    def _send(self, method: str, arguments: list[Any]) -> Any:
        if method == "lease":
            return self._wait_for_tasks(arguments)
        if method in STREAM_METHODS and _bytes_in(arguments) <= LARGE_BYTES:
            return self._send_in_stream(method, arguments)
        how = {"timeout": self._timeout, "metadata": self._metadata}
        if method == "fetch":
            answer = Assembly(items=ANSWER_ITEMS)
            for piece in self._fetch(encode(arguments), **how):
                answer.add(piece)
            return answer.value()
        return decode(self._calls[method](encode(arguments), **how), items=ANSWER_ITEMS)

    def _send_in_stream(self, method: str, arguments: list[Any]) -> Any:
        future = self._stream.ask(method, arguments)
        try:
            return future.result(self._timeout)
        finally:
            future.cancel()  # Where it comes too late nobody waits for it.

    def _wait_for_tasks(self, arguments: list[Any]) -> Any:
        future = self._stream.ask("lease", arguments)
        ends = time.monotonic() + self._timeout + MOST_SECONDS
        while not concurrent.futures.wait([future], _LOOK_SECONDS).done:
            if self._should_stop():
                return {"status": "ok", "tasks": [], "wait": 0.0}
            if time.monotonic() > ends:
                future.cancel()
                raise concurrent.futures.TimeoutError
        return future.result()

    def _start_stream(self, messages: Any) -> Any:
        return self._channel.stream_stream(STREAM)(messages, metadata=self._metadata)

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...] | None:
        return None if self._token is None else ((TOKEN_KEY, f"Bearer {self._token}"),)

    def _in_our_words(self, error: Any) -> Exception:
        codes, code, reason = self._grpc.StatusCode, error.code(), error.details() or ""
        reason = " ".join(reason.split())
        if code is codes.UNAUTHENTICATED:
            return Refused(self._about_token(reason))
        if code is codes.UNIMPLEMENTED:
            return Refused(
                f"{self.address} is no stillhouse server by gRPC, or one of another protocol "
                f"({reason}); one of --transport=courier wants the same here"
            )
        too_large = code is codes.RESOURCE_EXHAUSTED and "larger than max" in reason
        gone = (
            *(codes.UNAVAILABLE, codes.DEADLINE_EXCEEDED, codes.CANCELLED, codes.ABORTED),
            codes.RESOURCE_EXHAUSTED,
        )
        if code in gone and not too_large:
            if trouble := self._trouble():
                return Refused(f"no talking to the server at {self.address}: {trouble}")
            return ServerGone(f"no answer from the server at {self.address} ({reason})")
        return Refused(f"the server at {self.address} failed ({code.name}: {reason})")

    def _about_token(self, reason: str) -> str:
        if self._token is None:
            where = f", and there is none in {self._token_file}" if self._token_file else ""
            return (
                f"the server at {self.address} wants a token{where}: give --token_file=FILE, such "
                f"as `token` in its run folder, or set {VARIABLE}"
            )
        where = self._token_file or f"the variable {VARIABLE}"
        return f"the server at {self.address} has another token than {where}"

    def _trouble(self) -> str | None:
        """Return why the server cannot be talked to; None where it can, or is not there."""
        now = time.monotonic()
        if self._answered or now - self._probed < _PROBE_EVERY_SECONDS:
            return None
        self._probed = now
        return trouble_at(self.address, self._tls)


def _bytes_in(arguments: list[Any]) -> int:
    """Return how many bytes the lists of bytes among the arguments hold."""
    lists = (value for value in arguments if type(value) is list)
    return sum(len(item) for items in lists for item in items if type(item) is bytes)


def _token(file: str | None) -> str | None:
    return given_token() if file is None else read_token(file)
