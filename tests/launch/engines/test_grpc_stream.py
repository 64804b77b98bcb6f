"""Calls that share one stream, without a server: what begins the stream is the other end."""

import queue
import threading

import pytest

from stillhouse.launch.engines.grpc_stream import CallStream
from stillhouse.launch.engines.messages import MessageError, decode, encode

PATIENCE = 30


class Stream:
    """Answers of a server that are put in by a test; exceptions are raised."""

    def __init__(self, messages):
        self.sent, self._answers = queue.SimpleQueue(), queue.SimpleQueue()
        threading.Thread(target=lambda: [*map(self.sent.put, messages)], daemon=True).start()

    def calls(self, count):
        found = []
        while len(found) < count:  # A message has as many as there were.
            found += decode(self.sent.get(timeout=PATIENCE), items=10)
        return found

    def put(self, answer):
        self._answers.put(answer)

    def cancel(self):
        pass

    def __iter__(self):
        return self

    def __next__(self):
        answer = self._answers.get(timeout=PATIENCE)
        if isinstance(answer, Exception):
            raise answer
        return encode([answer])


@pytest.fixture
def opened():
    return []


@pytest.fixture
def calls(opened):
    def start(messages):
        opened.append(Stream(messages))
        return opened[-1]

    return CallStream(start)


def test_answers_come_in_any_order(calls, opened):
    first, second = calls.ask("lease", ["w", 1]), calls.ask("heartbeat", ["w"])
    (one, *call), (two, *_) = opened[0].calls(2)
    assert call == ["lease", ["w", 1]]
    opened[0].put([two, {"to": 2}])
    assert second.result(PATIENCE) == {"to": 2} and not first.done()
    opened[0].put([77, {"to": "nobody"}])
    opened[0].put([one, {"to": 1}])
    assert first.result(PATIENCE) == {"to": 1}
    assert len(opened) == 1


@pytest.mark.parametrize("end", [OSError("gone"), StopIteration(), [-1, {"status": "refused"}]])
def test_all_calls_of_a_stream_that_ends_fail_and_the_next_opens_another(calls, opened, end):
    waiting = [calls.ask("lease", [i]) for i in range(3)]
    opened[0].calls(3)
    opened[0].put(end)
    for future in waiting:
        assert future.exception(PATIENCE) is not None
    # It is known to have ended only a moment later than its calls.
    again = calls.ask("heartbeat", [])
    ((number, *_),) = opened[1].calls(1)
    opened[1].put([number, {}])
    assert again.result(PATIENCE) == {} and len(opened) == 2


def test_a_call_that_nobody_waits_for_is_forgotten(calls, opened):
    late, other = calls.ask("heartbeat", []), calls.ask("heartbeat", [])
    (first, *_), (second, *_) = opened[0].calls(2)
    assert late.cancel()
    opened[0].put([first, {}])
    opened[0].put([second, {}])
    assert other.result(PATIENCE) == {} and calls._pending == {}


def test_calls_that_are_made_while_one_is_sent_go_together(opened):
    started = []

    def start(messages):
        started.append(messages)
        return Stream(())

    calls = CallStream(start)
    for i in range(5):
        calls.ask("heartbeat", [i])
    assert [call[2] for call in decode(next(started[0]), items=10)] == [[i] for i in range(5)]
    calls.ask("heartbeat", [bytes(2**16)])
    calls.ask("heartbeat", [6])
    # What is large goes first, and alone: others of that size would be too much for a message.
    assert len(decode(next(started[0]), items=10)) == 1
    assert [call[2] for call in decode(next(started[0]), items=10)] == [[6]]


@pytest.mark.parametrize("message", [7, [], ["one", {}], [1, {}, {}]])
def test_a_server_that_says_what_is_no_answer_is_none(calls, opened, message):
    asked = calls.ask("heartbeat", [])
    opened[0].calls(1)
    opened[0].put(message)
    assert isinstance(asked.exception(PATIENCE), MessageError)
