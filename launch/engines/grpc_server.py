"""The server's facade over gRPC, for workers of any host that know its token."""

import asyncio
import concurrent.futures
import contextlib
import functools
import logging
import os
import resource
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any, TypeVar

from stillhouse.launch.engines.addresses import check_address
from stillhouse.launch.engines.allocator import keep_freed_memory
from stillhouse.launch.engines.grpc_stream import OpenStreams, answer_stream
from stillhouse.launch.engines.messages import (
    MOST_BYTES,
    REQUEST_ITEMS,
    MessageError,
    decode,
    encode,
)
from stillhouse.launch.engines.pieces import LARGE_BYTES, cut
from stillhouse.launch.engines.tls import Tls
from stillhouse.launch.engines.tokens import same
from stillhouse.launch.engines.waiting import WaitingRoom
from stillhouse.server.requests import refused
from stillhouse.server.service import Service

# Calls are to this service's methods; another number is another protocol.
SERVICE = "stillhouse.v2.Server"
TOKEN_KEY = "authorization"
STREAM = f"/{SERVICE}/calls"
PLAIN_METHODS = ("register", "complete", "fail", "heartbeat", "leave", "status")
# Its answer comes in pieces.
FETCH = f"/{SERVICE}/fetch"
# Small calls, which the stream of a caller carries too.
STREAM_METHODS = ("complete", "fail", "heartbeat")
# Answered in other threads than all else, as are messages with arrays: they take long.
_LONG_METHODS = ("status",)
_THREADS = 4
FRAME_BYTES = 2**22
_MOST_CALLS = 2 * 10_000 + 480
_MOST_CONNECTIONS = 2 * 10_000
_START_SECONDS = 20.0
_GRACE_SECONDS = 0.5
_LOG_SECONDS = 10.0
_OPTIONS = (
    # In whole frames: by default megabytes come sixteen thousand bytes at a time.
    ("grpc.http2.max_frame_size", FRAME_BYTES),
    # A second server at the same address is to fail, not to share its callers.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MOST_BYTES),
    ("grpc.max_send_message_length", MOST_BYTES),
    ("grpc.max_metadata_size", 2**13),
    ("grpc.max_concurrent_streams", 1024),
    ("grpc.max_allowed_incoming_connections", _MOST_CONNECTIONS),
    # All workers may come at once, as after a restart; by default a thousand may.
    ("grpc.server.max_pending_requests", _MOST_CONNECTIONS // 2),
    ("grpc.server.max_pending_requests_hard_limit", _MOST_CONNECTIONS),
    # Who connects and says nothing, or no longer answers.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_connection_idle_ms", 120_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Workers may ask as often whether we are there.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
)

_log = logging.getLogger("stillhouse.server")

Method = Callable[..., dict[str, Any]]
Threads = concurrent.futures.Executor
Answered = TypeVar("Answered")


def import_grpc() -> ModuleType:
    """Return gRPC, which says what it has to say by its errors alone.

    Raises:
        ValueError: if it is not installed.
    """
    # Or strangers write the log: each handshake that fails is a line of its own.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        import grpc
        import grpc.aio
    except ImportError as error:
        raise ValueError(
            f"workers and their server talk by gRPC, which is missing here ({error}): "
            "pip install grpcio msgpack, or give --transport=courier"
        ) from error
    return grpc


@contextlib.contextmanager
def serve_grpc(
    service: Service, address: str, *, token: str | None, tls: Tls | None = None
) -> Iterator[None]:
    """Let workers call the facade while entered.

    Args:
        service: what is called, in the thread of an event loop and in a few others.
        address: where to listen, and nowhere else.
        token: what callers must know; None to ask for nothing.
        tls: the files of an encrypted server; None for one that is not.

    Raises:
        ValueError: if nothing can listen there, or a file of `tls` is of no use.
    """
    grpc = import_grpc()
    check_address(address)  # gRPC's own error does not say which of many it was.
    credentials = None if tls is None else tls.of_server()
    _allow_many_files()
    keep_freed_memory()
    serving = _Serving(grpc, service, address, token, credentials)
    serving.start()
    try:
        yield
    finally:
        serving.stop()


class _Serving:
    """An event loop in a thread of its own, and the server in it."""

    def __init__(
        self, grpc: ModuleType, service: Service, address: str, token: str | None, credentials: Any
    ) -> None:
        self._grpc, self._service = grpc, service
        self._address, self._token, self._credentials = address, token, credentials
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        self._started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, name="grpc", daemon=True)

    def start(self) -> None:
        self._thread.start()
        try:
            self._started.result(_START_SECONDS)
        except Exception as error:
            raise ValueError(f"cannot listen at {self._address} ({error})") from error

    def stop(self) -> None:
        assert self._loop is not None, "it has started"
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(_START_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            if self._started.done():
                _log.exception("the server has stopped to listen")
            else:
                self._started.set_exception(error)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(_THREADS, "grpc-long") as threads:
            room, streams = WaitingRoom(self._service), OpenStreams()
            handlers = _handlers(self._grpc, self._service, room, threads, self._token, streams)
            server = self._grpc.aio.server(
                handlers=[handlers],
                options=_OPTIONS,
                maximum_concurrent_rpcs=_MOST_CALLS,
            )
            if self._credentials is None:
                server.add_insecure_port(self._address)
            else:
                server.add_secure_port(self._address, self._credentials)
            await server.start()
            self._started.set_result(None)
            await self._ended.wait()
            room.close()
            await streams.end(_GRACE_SECONDS)
            await server.stop(_GRACE_SECONDS)


def _handlers(
    grpc: ModuleType,
    service: Service,
    room: WaitingRoom,
    threads: Threads,
    token: str | None,
    streams: OpenStreams,
) -> Any:
    """Return what finds the method of a call, for callers who may call at all."""
    methods = {
        f"/{SERVICE}/{name}": grpc.unary_unary_rpc_method_handler(
            _plain(getattr(service, name), threads)
        )
        for name in PLAIN_METHODS
    }
    methods[FETCH] = grpc.unary_stream_rpc_method_handler(_fetch(grpc, service, threads))
    at_once = {name: getattr(service, name) for name in STREAM_METHODS}
    later = {"lease": functools.partial(_lease, room)}

    async def calls(requests: Any, context: Any) -> None:
        with streams.entered():
            await answer_stream(context, at_once, later, refused)

    methods[STREAM] = grpc.stream_stream_rpc_method_handler(calls)
    callers = _Refusals(grpc)
    expected = None if token is None else f"Bearer {token}"

    class Handlers(grpc.GenericRpcHandler):  # type: ignore[misc, name-defined]
        def service(self, details: Any) -> Any:
            # Before a byte of the message is read: a stranger's takes no memory.
            if details.method.startswith("/courier."):
                return callers.speaks_courier
            if expected is not None:
                found = next((v for k, v in details.invocation_metadata if k == TOKEN_KEY), None)
                if found is None:
                    return callers.without_token
                if not same(found, expected):
                    return callers.with_wrong_token
            return methods.get(details.method)

    return Handlers()


def _plain(method: Method, threads: Threads) -> Callable[[bytes, Any], Awaitable[bytes]]:
    is_long = method.__name__ in _LONG_METHODS

    async def answer(data: bytes, context: Any) -> bytes:
        if is_long or len(data) > LARGE_BYTES:
            return await _elsewhere(threads, _answer, method, data, encode)
        return _answer(method, data, encode)

    return answer


def _fetch(
    grpc: ModuleType, service: Service, threads: Threads
) -> Callable[[bytes, Any], Awaitable[None]]:
    async def answer(data: bytes, context: Any) -> None:
        pieces = await _elsewhere(threads, _answer, service.fetch, data, cut)
        with contextlib.suppress(grpc.aio.BaseError):  # Of a caller who has gone, not of ours.
            for piece in pieces:
                await context.write(piece)

    return answer


async def _elsewhere(
    threads: Threads, function: Callable[..., Answered], *arguments: Any
) -> Answered:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(threads, function, *arguments)


async def _lease(room: WaitingRoom, arguments: list[Any]) -> dict[str, Any]:
    if len(arguments) != 3 or type(arguments[2]) not in (int, float) or not arguments[2] >= 0:
        return refused("`lease` takes (worker, most, seconds)")
    return await room.lease(*arguments)


def _answer(method: Method, data: bytes, written: Callable[[Any], Answered]) -> Answered:
    try:
        return written(method(*_arguments(data)))
    except MessageError as error:
        return written(refused(str(error)))


def _arguments(data: bytes) -> list[Any]:
    arguments = decode(data, items=REQUEST_ITEMS)
    if type(arguments) is not list:
        raise MessageError("a call carries a list of its arguments")
    return arguments


class _Refusals:
    """Handlers for callers who may not call, of whom the log tells no more than it can hold.

    They read nothing of what is sent.
    """

    def __init__(self, grpc: ModuleType) -> None:
        self._grpc = grpc
        self._since = -_LOG_SECONDS
        self._count = 0
        codes = grpc.StatusCode
        self.without_token = self._handler(codes.UNAUTHENTICATED, "no token")
        self.with_wrong_token = self._handler(codes.UNAUTHENTICATED, "a wrong token")
        self.speaks_courier = self._handler(
            codes.UNIMPLEMENTED, "this server speaks gRPC: give --transport=grpc, not courier"
        )

    def _handler(self, code: Any, reason: str) -> Any:
        return self._grpc.stream_unary_rpc_method_handler(
            functools.partial(self._refuse, code=code, reason=reason)
        )

    async def _refuse(self, requests: Any, context: Any, *, code: Any, reason: str) -> None:
        self._note(context.peer(), reason)
        await context.abort(code, reason)

    def _note(self, peer: str, reason: str) -> None:
        now = time.monotonic()
        self._count += 1
        if now - self._since < _LOG_SECONDS:
            return
        others = f", and {self._count - 1:,} others before it" if self._count > 1 else ""
        _log.warning("refused a caller at %s: %s%s", peer, reason, others)
        self._since, self._count = now, 0


def _allow_many_files() -> None:
    """Let this process have as many connections as the system allows: each is an open file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and (hard == resource.RLIM_INFINITY or soft < hard):
        wanted = 2**16 if hard == resource.RLIM_INFINITY else hard
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, soft), hard))
