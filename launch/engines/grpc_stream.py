"""Many small calls over one call of gRPC, which costs a server a third of as many calls.

A call is a number and a method with its arguments, an answer the number and what the method says,
in whatever order answers come. A message is a list of them: what comes while one is being sent goes
with the next one, as a message costs more than what is in it.
"""

import asyncio
import concurrent.futures
import contextlib
import itertools
import queue
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

from stillhouse.launch.engines.messages import (
    ANSWER_ITEMS,
    REQUEST_ITEMS,
    MessageError,
    decode,
    encode,
    encode_list,
)

Method = Callable[[list[Any]], Awaitable[dict[str, Any]]]

# Calls of one caller that wait for their answers; who makes more has the others wait.
_MOST_WAITING = 1024
# Of a message: a call, and as many more as fit.
_MOST_CALLS, _MOST_BYTES = 256, 2**16


async def answer_stream(
    context: Any,
    at_once: Mapping[str, Callable[..., dict[str, Any]]],
    later: Mapping[str, Method],
    refuse: Callable[[str], dict[str, Any]],
) -> None:
    """Answer the calls of one stream until its caller ends it.

    Args:
        context: gRPC's, of the stream.
        at_once: the methods that take no time.
        later: those that others are not to wait for.
        refuse: gives the answer to what is no call.
    """
    writing = asyncio.Lock()
    unsent: list[bytes] = []
    waiting: set[asyncio.Task[None]] = set()

    def note(number: int, answer: dict[str, Any]) -> None:
        try:
            unsent.append(encode([number, answer]))
        except MessageError as error:
            unsent.append(encode([number, refuse(str(error))]))

    async def send() -> None:
        async with writing:
            if unsent:  # Else they went with those before.
                data = encode_list(unsent)
                unsent.clear()
                await context.write(data)

    async def answer_later(number: int, method: Method, arguments: list[Any]) -> None:
        note(number, await method(arguments))
        await send()

    try:
        # What follows the last message is no bytes.
        while isinstance(data := await context.read(), bytes):
            for number, name, arguments in _calls(data):
                if name in later:
                    task = asyncio.create_task(answer_later(number, later[name], arguments))
                    waiting.add(task)
                    task.add_done_callback(waiting.discard)
                    if len(waiting) >= _MOST_WAITING:
                        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                elif name in at_once:
                    note(number, at_once[name](*arguments))
                else:
                    note(number, refuse("there is no such method"))
            await send()
    except MessageError as error:
        note(-1, refuse(str(error)))
        await send()
    finally:
        for task in waiting:
            task.cancel()


class OpenStreams:
    """The streams that a server answers, in the thread of its event loop."""

    def __init__(self) -> None:
        self._open: set[asyncio.Task[Any]] = set()

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Let the stream that is answered meanwhile be ended from outside."""
        task = asyncio.current_task()
        assert task is not None, "gRPC makes one of each call"
        self._open.add(task)
        try:
            yield
        except asyncio.CancelledError:
            pass  # gRPC would log it as an error of ours.
        finally:
            self._open.discard(task)

    async def end(self, seconds: float) -> None:
        """End those that do not end by themselves, once they hear that the run has ended."""
        if self._open:
            await asyncio.wait(self._open, timeout=seconds)
        for task in self._open:
            task.cancel()


def _calls(data: bytes) -> list[tuple[int, str, list[Any]]]:
    calls = decode(data, items=REQUEST_ITEMS)
    if type(calls) is not list:
        raise MessageError("a message is a list of calls")
    return [_call(call) for call in calls]


def _call(call: Any) -> tuple[int, str, list[Any]]:
    if type(call) is not list or len(call) != 3:
        raise MessageError("a call is its number, a method and a list of arguments")
    number, name, arguments = call
    if type(number) is not int or type(name) is not str or type(arguments) is not list:
        raise MessageError("a call is its number, a method and a list of arguments")
    return number, name, arguments


class CallStream:
    """The caller's side, for several threads; opened by its first call, and again after a loss.

    Args:
        start: begins the stream: takes an iterator of messages, and returns one of answers.
    """

    def __init__(self, start: Callable[[Any], Any]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._outgoing: queue.SimpleQueue[bytes | None] | None = None
        self._pending: dict[int, concurrent.futures.Future[Any]] = {}

    def ask(self, method: str, arguments: list[Any]) -> "concurrent.futures.Future[Any]":
        """Make a call, and return what becomes its answer, or gRPC's error.

        Raises:
            MessageError: if the arguments cannot be sent.
        """
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        number = next(self._numbers)
        data = encode([number, method, arguments])
        with self._lock:
            if self._outgoing is None:
                self._open()
            assert self._outgoing is not None, "it was opened"
            self._pending[number] = future
            self._outgoing.put(data)
        future.add_done_callback(lambda _: self._pending.pop(number, None))
        return future

    def _open(self) -> None:
        outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._outgoing, self._pending = outgoing, {}
        answers = self._start(_messages(outgoing))
        arguments = (answers, outgoing, self._pending)
        threading.Thread(target=self._read, args=arguments, name="answers", daemon=True).start()

    def _read(
        self,
        answers: Any,
        outgoing: "queue.SimpleQueue[bytes | None]",
        pending: dict[int, "concurrent.futures.Future[Any]"],
    ) -> None:
        failure: Exception = ConnectionResetError("the server has ended the stream")
        try:
            for number, answer in _answers(answers):
                if number == -1:  # A message of ours was none to it.
                    failure = MessageError(str(answer))
                    break
                future = pending.pop(number, None)
                if future is not None and future.set_running_or_notify_cancel():
                    future.set_result(answer)
        except Exception as error:  # gRPC's own, of the stream.
            failure = error
        with self._lock:
            if self._outgoing is outgoing:
                self._outgoing = None
            left = list(pending.values())
        outgoing.put(None)  # Lets go of the thread that sends.
        answers.cancel()
        for future in left:
            if future.set_running_or_notify_cancel():
                future.set_exception(failure)


def _messages(outgoing: "queue.SimpleQueue[bytes | None]") -> Iterator[bytes]:
    """Yield messages, each of all the calls that there are by then, until there is None."""
    while (call := outgoing.get()) is not None:
        calls, size = [], 0
        while call is not None:
            calls.append(call)
            size += len(call)
            if len(calls) >= _MOST_CALLS or size >= _MOST_BYTES:
                break
            try:
                call = outgoing.get_nowait()
            except queue.Empty:
                break
        yield encode_list(calls)
        if call is None:
            return


def _answers(messages: Iterable[bytes]) -> Iterator[tuple[int, Any]]:
    for data in messages:
        answers = decode(data, items=ANSWER_ITEMS)
        if type(answers) is not list:
            raise MessageError("a message is a list of answers")
        for answer in answers:
            if type(answer) is not list or len(answer) != 2 or type(answer[0]) is not int:
                raise MessageError("an answer is a number and what a method says")
            yield answer[0], answer[1]
